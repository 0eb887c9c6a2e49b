"""Evaluations: what one version made of one snapshot's test images, kept once."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from models.inserts import insert_new
from models.learning_tables import Evaluation


def add_evaluation(
    session: Session,
    figures: Mapping[str, Any],
    *,
    model_version_id: int,
    snapshot_id: int,
    origin: str,
) -> None:
    """What was measured before stays as it is."""
    row = {
        "model_version_id": model_version_id,
        "snapshot_id": snapshot_id,
        "origin": origin,
        "figures": dict(figures),
    }
    insert_new(session, Evaluation, [row])
