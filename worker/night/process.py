"""The process of one night: `python -m worker.night.process`.

The training worker starts it, so that TensorFlow takes memory only while a night runs.
"""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from models.config.logs import set_up_logging
from models.config.settings import Settings
from models.context import process_context
from worker.chunks import passing_failures
from worker.night.resources import bound_this_process
from worker.night.run import TookTooLongError, run_night
from worker.startup import ending_if_refused


def main() -> None:
    settings = Settings.read()
    set_up_logging(settings, process="train")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which asks by SIGTERM
    with ending_if_refused():
        context = process_context()
    signal.signal(signal.SIGTERM, lambda *_: context.stopping.set())  # hand the night back
    bound_this_process(settings)  # before anything imports TensorFlow
    with passing_failures(), time_limit(settings.soft_train_time_limit_s):
        run_night(context)
    logging.shutdown()
    os._exit(0)  # skip the unloading of TensorFlow and OpenVINO, which sometimes crashes


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TookTooLongError inside the `with` block, in the main thread."""
    signal.signal(signal.SIGALRM, _end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _end(number: int, frame: FrameType | None) -> None:
    raise TookTooLongError


if __name__ == "__main__":
    main()
