"""Nudges: "something waits". All that the portal knows of the workers.

The database is the queue of truth. A nudge may be lost, repeated or late without harm, so a
broker that is down is logged and never raised: the sweeper nudges again.
"""

import logging

from models.settings import Settings

log = logging.getLogger(__name__)


def connect(settings: Settings) -> None:
    """Says which broker; without this call the settings come from the environment."""


def nudge_ingest() -> None: ...


def nudge_predict() -> None: ...


def enqueue_training(dataset: str, name: str) -> None:
    """dataset: a folder that the training worker can read; name: of the new model version."""


def is_broker_up() -> bool:
    """For health checks: answers within about a second."""
    return False
