"""Whether the service can do its work, part by part, and what keeps images waiting.

Each part is asked by a probe, so that nothing that hangs holds a request for longer than
PATIENCE_S.
"""

import logging
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from flask import current_app
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from models.config.secrets import SecretsError
from models.config.settings import Settings
from models.context import AppContext
from models.files.presence import StoreAwayError, require_store
from models.learning.promotion import production_version
from models.learning.versions import version_path
from models.operations.heartbeat import ROLES, probe_writes, problems
from models.operations.revision import current_revision, newest_revision
from models.session import lacks_rights, why_away
from models.tables.workers import Problem
from pipeline.errors import NetworkFolderError
from pipeline.inference.version_folder import REQUIRED, load_card
from web.http.probe import Probe
from worker.enqueue import is_broker_up

log = logging.getLogger(__name__)

KEY = "overread-readiness"
PATIENCE_S = 3.0
LASTS_S = 1.0  # anybody may ask, as often as they like
WRITE_LASTS_S = 5.0

NO_ANSWER = "no-answer"
NO_RIGHTS = "no-rights"
# In the order in which they are named as the cause. A nearly full disk refuses uploads only.
PARTS = (
    "database",
    "tables",
    "database_writes",
    "files",
    "broker",
    "model_version",
    "ingest_worker",
    "predict_worker",
    "disk",
)
NEEDED = tuple(part for part in PARTS if part != "disk")
_CLAUSES = {
    "database": "the database does not respond",
    "database_writes": "the database cannot be written",
    "files": "the file store is not available",
    "broker": "the broker does not respond",
    "model_version": "the live version cannot be opened",
    "ingest_worker": "the ingest worker does not respond",
    "predict_worker": "the predict worker does not respond",
}
_OF_WORKERS: Mapping[str, str] = {
    Problem.TASKS: "every task of the {worker} fails",
    Problem.DECODERS: "the decoders do not start",
    Problem.FILES: "the {worker} cannot use the file store",
    Problem.DATABASE: "the {worker} cannot use the database",
}


@dataclass(frozen=True)
class States:
    """reasons: of the parts that are down, a short code. version: the live one's name, if known."""

    reasons: Mapping[str, str] = field(default_factory=dict)
    version: str = ""

    def is_up(self, part: str) -> bool:
        return part not in self.reasons

    @property
    def is_ready(self) -> bool:
        return all(map(self.is_up, NEEDED))


@dataclass(frozen=True)
class Waiting:
    """Why images wait. reason: a short code; message: a sentence for their sender."""

    reason: str
    message: str


class Readiness:
    def __init__(self, context: AppContext) -> None:
        settings = context.settings
        self._probes: dict[tuple[str, ...], Probe[States]] = {
            _IN_DATABASE: Probe(lambda: _read_database(context), lasts_s=LASTS_S),
            ("database_writes",): Probe(
                lambda: States({"database_writes": _write_database(context)}),
                lasts_s=WRITE_LASTS_S,
            ),
            ("broker",): Probe(
                lambda: States({"broker": "" if is_broker_up() else NO_ANSWER}), lasts_s=LASTS_S
            ),
            ("files", "disk"): Probe(lambda: States(_check_disk(settings)), lasts_s=LASTS_S),
        }

    def states(self) -> States:
        """At most some seconds old."""
        since = time.monotonic()
        until = since + PATIENCE_S
        for probe in self._probes.values():
            probe.start()
        reasons: dict[str, str] = {}
        version = ""
        for parts, probe in self._probes.items():
            found = probe.get(since=since, until=until) or States(dict.fromkeys(parts, NO_ANSWER))
            reasons |= found.reasons
            version = version or found.version
        return States({part: reasons[part] for part in PARTS if reasons.get(part)}, version)


def current_readiness() -> Readiness:
    return cast(Readiness, current_app.extensions[KEY])


def why_waiting(
    states: States, *, received: int, ready: int, one_step: bool = False
) -> Waiting | None:
    """What keeps the images of a job, which wait for ingest or for predict, from being read.

    one_step: ingest predicts what it reads; predict takes what is ready already.
    """
    if not received and not ready:
        return None
    for part, code in states.reasons.items():
        if part not in _CLAUSES or (part == "ingest_worker" and not received):
            continue
        if part == "predict_worker" and one_step and not ready:
            continue
        clause = _OF_WORKERS.get(code, _CLAUSES[part]).format(worker=part.replace("_", " "))
        if part == "model_version":
            clause += f" (version {states.version})" if states.version else " (none is live)"
        return Waiting(code, f"images wait: {clause}; tell the operator")
    return None


_IN_DATABASE = ("database", "tables", "model_version", *(f"{role}_worker" for role in ROLES))


def _read_database(context: AppContext) -> States:
    reasons, version = dict.fromkeys(_IN_DATABASE, NO_ANSWER), ""
    try:
        with context.sessions() as session:
            session.execute(text("SELECT 1"))
            reasons["database"] = ""
            is_ours = current_revision(session.connection()) == newest_revision()
            reasons["tables"] = "" if is_ours else "other-release"
            version, reasons["model_version"] = _find_version(session, context.settings)
            reasons |= _of_workers(session, reasons["model_version"])
    except SQLAlchemyError as error:
        log.error("the database or a table does not answer: %s", type(error).__name__)
        if lacks_rights(error):
            reasons = {part: code and NO_RIGHTS for part, code in reasons.items()}
    except SecretsError as error:
        log.error("%s", error)
        reasons["database"] = "other-installation"
    return States(reasons, version)


def _find_version(session: Session, settings: Settings) -> tuple[str, str]:
    """The live one's name, and why it cannot be opened. Workers verify the contents, too."""
    version = production_version(session)
    if version is None:
        return "", "none-is-live"
    folder = version_path(version, data_dir=settings.data_dir)
    try:
        load_card(folder)
        is_whole = all((folder / name).is_file() for name in REQUIRED)
    except (NetworkFolderError, OSError):
        is_whole = False
    return version.name, "" if is_whole else Problem.VERSION


def _of_workers(session: Session, version: str) -> dict[str, str]:
    reasons = {f"{role}_worker": reason for role, reason in problems(session).items()}
    if reasons["predict_worker"] == Problem.VERSION:
        reasons |= {"predict_worker": "", "model_version": version or Problem.VERSION}
    return reasons


def _write_database(context: AppContext) -> str:
    try:
        probe_writes(context.sessions, "portal")
    except SQLAlchemyError as error:
        log.error("the database cannot be written: %s", why_away(error))
        return NO_RIGHTS if lacks_rights(error) else "not-writable"
    except SecretsError:  # `_read_database` says so
        return "other-installation"
    return ""


def _check_disk(settings: Settings) -> dict[str, str]:
    return {"files": _check_files(settings.files_dir), "disk": _check_reserve(settings)}


def _check_files(root: Path) -> str:
    try:
        require_store(root)
        root.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=root, buffering=0) as file:
            file.write(b"readyz")
    except StoreAwayError:
        return "missing"
    except OSError:
        return "not-writable"
    return ""


def _check_reserve(settings: Settings) -> str:
    try:
        free = shutil.disk_usage(settings.data_dir).free
    except OSError:
        return NO_ANSWER
    return "" if free >= settings.disk_reserve_bytes else "nearly-full"
