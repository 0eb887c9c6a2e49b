"""Heartbeats of the workers: files in the data folder that they touch."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from models.base import now
from models.config.settings import Settings

FOLDER = "workers"
SWEEPS_MISSED = 6  # each sweep is a heartbeat; a long chunk may come between


def record_heartbeat(data_dir: Path, worker: str) -> None:
    folder = data_dir / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / worker).touch(mode=0o600)


def last_heartbeat(data_dir: Path, worker: str) -> datetime | None:
    try:
        return datetime.fromtimestamp((data_dir / FOLDER / worker).stat().st_mtime, UTC)
    except OSError:
        return None


def is_alive(settings: Settings, worker: str) -> bool:
    """Whether there was a heartbeat within some sweeps and the longest chunk."""
    heartbeat = last_heartbeat(settings.data_dir, worker)
    timeout_s = SWEEPS_MISSED * settings.sweep_interval_s + settings.chunk_time_limit_s
    return heartbeat is not None and abs(now() - heartbeat) < timedelta(seconds=timeout_s)
