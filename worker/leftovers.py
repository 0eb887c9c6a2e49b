"""What is left of trainings that were killed, cancelled, or slower than another of their night."""

import time
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

from models.learning.nights import open_night
from worker.candidate import NETWORKS, candidate_name
from worker.doors import Doors
from worker.uploads import FORGOTTEN_AFTER_S

LEFT = (
    ".*.training",
    ".*.partial*",
)  # see `pipeline.training.checkpoint`, `pipeline.inference.version_folder`


def discard_leftovers(doors: Doors, *, age_s: float = FORGOTTEN_AFTER_S) -> None:
    """Checkpoints and half-written versions, unless the night is open, and may need them."""
    before = time.time() - age_s
    networks = doors.settings.data_dir / NETWORKS
    found = [path for kind in LEFT for path in networks.glob(kind)]
    left = [path for path in found if _is_older(path, before)]
    with doors.sessions() as session:
        night = open_night(session)
    for folder in left:
        if night is None or not folder.name.startswith(f".{candidate_name(night.id)}."):
            rmtree(folder, ignore_errors=True)


def _is_older(path: Path, moment: float) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime < moment
    return False
