"""What the service needs, and whether it is there: a word for each, nothing else."""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Literal

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from models.config.settings import Settings
from models.learning.versions import production_version, version_path
from models.operations.heartbeat import is_alive
from pipeline.errors import NetworkFolderError
from pipeline.inference.version_folder import REQUIRED, load_card
from web.services import Services
from worker.enqueue import is_broker_up

log = logging.getLogger(__name__)

Word = Literal["up", "down"]
# Without these the portal answers wrongly or not at all. With a nearly full disk it refuses uploads
# and shows everything; with its workers down it takes uploads, which wait. Neither is helped by
# sending people elsewhere, so those are named and do not count.
NEEDED = ("database", "tables", "broker", "files", "model_version")


def states(services: Services) -> dict[str, Word]:
    settings = services.settings
    found = {
        **_in_database(services),
        "broker": is_broker_up(),
        "files": _can_write(settings.files_dir),
        "disk": _has_reserve(settings),
        "ingest_worker": is_alive(settings, "ingest"),
        "predict_worker": is_alive(settings, "predict"),
    }
    return {what: "up" if is_up else "down" for what, is_up in found.items()}


def is_ready(found: dict[str, Word]) -> bool:
    return all(found[what] == "up" for what in NEEDED)


def _is_database_up(services: Services) -> bool:
    try:
        with services.sessions() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        log.error("database does not answer: %s", type(error).__name__)
        return False
    return True


def _in_database(services: Services) -> dict[str, bool]:
    from models.operations.upgrade import (  # costs Alembic, once asked
        current_revision,
        newest_revision,
    )

    found = dict.fromkeys(("database", "tables", "model_version"), False)
    found["database"] = _is_database_up(services)
    if found["database"]:
        try:
            with services.sessions() as session:
                revision = current_revision(session.connection())
                found["tables"] = revision == newest_revision()
                found["model_version"] = _can_open_version(session, services.settings)
        except SQLAlchemyError as error:
            log.error("a table does not answer: %s", type(error).__name__)
    return found


def _can_open_version(session: Session, settings: Settings) -> bool:
    """Its files are there and its card can be read. A worker checks what is in them, too."""
    version = production_version(session)
    if version is None:
        return False
    folder = version_path(version, data_dir=settings.data_dir)
    try:
        load_card(folder)
    except NetworkFolderError:
        return False
    return all((folder / name).is_file() for name in REQUIRED)


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(b"readyz")
    except OSError:
        return False
    return True


def _has_reserve(settings: Settings) -> bool:
    try:
        return shutil.disk_usage(settings.data_dir).free >= settings.disk_reserve_bytes
    except OSError:
        return False
