"""Health checks for load balancers and supervisors, without a login: up or down per component."""

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

from apiflask import APIBlueprint
from flask import current_app
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from models.config.settings import Settings
from models.context import AppContext
from models.learning.promotion import production_version
from models.learning.versions import version_path
from models.operations.heartbeat import is_alive
from pipeline.errors import NetworkFolderError
from pipeline.inference.version_folder import REQUIRED, load_card
from web.auth.rules import open_to_all
from web.context import current_context
from web.operations.schemas import HealthOut
from worker.enqueue import is_broker_up

log = logging.getLogger(__name__)

Word = Literal["up", "down"]
# Without these the portal cannot serve. With a nearly full disk it refuses uploads only; with its
# workers down, uploads wait. Redirecting users helps neither, so those are shown but do not count.
NEEDED = ("database", "tables", "broker", "files", "model_version")


def states(context: AppContext) -> dict[str, Word]:
    settings = context.settings
    found = {
        **_in_database(context),
        "broker": is_broker_up(),
        "files": _can_write(settings.files_dir),
        "disk": _has_reserve(settings),
        "ingest_worker": is_alive(settings, "ingest"),
        "predict_worker": is_alive(settings, "predict"),
    }
    return {what: "up" if is_up else "down" for what, is_up in found.items()}


def _in_database(context: AppContext) -> dict[str, bool]:
    # They import Alembic.
    from models.operations.upgrade import current_revision, newest_revision

    found = dict.fromkeys(("database", "tables", "model_version"), False)
    try:
        with context.sessions() as session:
            session.execute(text("SELECT 1"))
            found["database"] = True
            found["tables"] = current_revision(session.connection()) == newest_revision()
            found["model_version"] = _can_open_version(session, context.settings)
    except SQLAlchemyError as error:
        log.error("the database or a table does not answer: %s", type(error).__name__)
    return found


def _can_open_version(session: Session, settings: Settings) -> bool:
    """Its files exist and its card can be read. Workers verify the contents, too."""
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


Answer = TypeVar("Answer")


class Recent(Generic[Answer]):
    def __init__(self, ask: Callable[[], Answer], *, lasts_s: float) -> None:
        self._ask, self._lasts_s = ask, lasts_s
        self._answer: tuple[float, Answer] | None = None
        self._lock = threading.Lock()

    def get(self) -> Answer:
        """The cached answer. Of concurrent callers one asks, and the others wait for it."""
        with self._lock:
            if self._answer is None or time.monotonic() - self._answer[0] > self._lasts_s:
                answer = self._ask()
                self._answer = time.monotonic(), answer
            return self._answer[1]


bp = APIBlueprint("health", __name__, tag="Health")

KEY = "overread-states"
LASTS_S = 1.0  # anybody may ask, as often as they like
WHY = "load balancers have no login; it only says up or down"
_UNWELL: dict[int | str, Any] = {503: {"description": "Database or broker does not respond"}}


@bp.get("/health")
@bp.output(HealthOut)
@bp.doc(responses=_UNWELL)
@open_to_all(WHY)
def show() -> tuple[HealthOut, int]:
    """Check that database and broker respond."""
    found = _states()
    database, broker = found["database"] == "up", found["broker"] == "up"
    well = database and broker
    health = HealthOut(status="ok" if well else "unhealthy", database=database, broker=broker)
    return health, 200 if well else 503


@bp.get("/healthz")
@open_to_all(WHY)
def alive() -> ResponseReturnValue:
    """The process responds. Nothing else is checked, so that a waiting one is not restarted."""
    return {"status": "up"}


@bp.get("/readyz")
@open_to_all(WHY)
def ready() -> ResponseReturnValue:
    found = _states()
    well = all(found[what] == "up" for what in NEEDED)
    return {"status": "up" if well else "down", **found}, 200 if well else 503


def _states() -> dict[str, Word]:
    """At most a second old: a check queries the database and the broker and writes a file."""
    new = Recent(lambda: states(current_context()), lasts_s=LASTS_S)
    kept = current_app.extensions.setdefault(KEY, new)
    return cast(Recent[dict[str, Word]], kept).get()
