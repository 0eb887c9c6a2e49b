"""What `overread doctor` looks at."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from cli.processes import can_train
from cli.service_file import is_held, running_service
from cli.settings import CommandSettings
from cli.shown_settings import masked
from models.audit_check import newest_check
from models.file_store import FileStore
from models.orphans import MOST, find_orphans
from models.session import make_engine, make_session_factory
from models.versions import production_version, version_path
from pipeline.errors import NetworkFolderError
from pipeline.predictor import Predictor
from pipeline.version_folder import BASELINE
from worker.embedded_broker import is_answering

LOW_SPACE_BYTES = 2 * 2**30
DAY_S = 24 * 3600


@dataclass(frozen=True)
class Finding:
    mark: str  # "ok", "-" (not there, and need not be), "WRONG"
    what: str
    says: str

    @property
    def is_wrong(self) -> bool:
        return self.mark == "WRONG"


def check_everything(settings: CommandSettings) -> Iterator[Finding]:
    yield _check_data(settings)
    yield _checked("database", lambda: _database(settings))
    yield _check_broker(settings)
    yield _checked("files", lambda: _file_store(settings))
    yield _checked("orphans", lambda: _orphans(settings))
    yield _checked("network", lambda: _network(settings))
    yield _check_portal(settings)
    yield _check_audit(settings)
    yield _check_training()


def _checked(what: str, check: Callable[[], str | None]) -> Finding:
    """check: returns what is well, None where nothing is there yet; raises what is wrong."""
    try:
        says = check()
    except Exception as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding("WRONG", what, masked(line) if "://" in line else line)
    return Finding("ok", what, says) if says else Finding("-", what, "not there yet: overread up")


def _check_data(settings: CommandSettings) -> Finding:
    folder = settings.data_dir
    if not folder.exists():
        return Finding("-", "data", f"{folder} does not exist yet: overread up")
    free = shutil.disk_usage(folder).free
    says = f"{folder}, {free / 2**30:.0f} GiB free"
    if folder.stat().st_mode & 0o077:
        return Finding("WRONG", "data", f"{folder} is open to others: chmod 700 it")
    return Finding("WRONG" if free < LOW_SPACE_BYTES else "ok", "data", says)


def _database(settings: CommandSettings) -> str | None:
    from models.revision import current_revision, newest_revision

    if not _has_database(settings):
        return None
    engine = make_engine(settings)
    try:
        with engine.connect() as connection:
            revision, newest = current_revision(connection), newest_revision()
    finally:
        engine.dispose()
    if revision != newest:
        raise LookupError(f"tables are at {revision}, expected {newest}: overread migrate")
    return f"{engine.dialect.name}, tables at {revision}"


def _has_database(settings: CommandSettings) -> bool:
    from sqlalchemy import make_url

    # Connecting would make the file.
    return not settings.is_sqlite or Path(make_url(settings.database).database or "").exists()


def _check_broker(settings: CommandSettings) -> Finding:
    service = running_service(settings.data_dir)
    url = settings.broker_url or (service.broker_url if service else "")
    if not url:
        return Finding("-", "broker", "starts with the service: overread up")
    says = "answers" if is_answering(url) else "does not answer"
    return Finding("ok" if says == "answers" else "WRONG", "broker", f"{masked(url)} {says}")


def _file_store(settings: CommandSettings) -> str | None:
    """Write, read and delete, as a worker would."""
    if not settings.data_dir.exists():
        return None
    store = FileStore(settings.files_dir)
    stored = store.put_bytes(b"overread doctor")
    read = store.path(stored.sha256).read_bytes()
    store.delete(stored.sha256, area="stored")
    if read != b"overread doctor":
        raise OSError("what was read is not what was written")
    return f"{settings.files_dir} can be written and read"


def _orphans(settings: CommandSettings) -> str | None:
    """Rows without files, files without rows; what work under way leaves behind is gone later."""
    if not _has_database(settings):
        return None
    engine, store = make_engine(settings), FileStore(settings.files_dir)
    sessions = make_session_factory(engine)
    try:
        found = find_orphans(sessions, store, age_s=DAY_S)
        if found:  # once more: a worker may have been at work on them
            later = set(find_orphans(sessions, store, age_s=DAY_S))
            found = [line for line in found if line in later]
    finally:
        engine.dispose()
    if found:
        number = f"{MOST} or more" if len(found) == MOST else len(found)
        raise LookupError(f"{number}, among them {found[0]}")
    return "no row without its files, no file without its row"


def _network(settings: CommandSettings) -> str:
    """As a worker opens it: checksums first. Then one answer for an empty picture."""
    folder = _live_folder(settings) if _has_database(settings) else BASELINE
    predictor = Predictor.open(folder, operating_point=settings.operating_point)
    answers = predictor.predict(np.zeros((1, 224, 224), np.uint8))
    if not 0.0 <= answers[0].probability <= 1.0:
        raise NetworkFolderError("the network's answer is not a probability")
    point = f"{predictor.operating_point}, threshold {predictor.threshold:g}"
    return f"{predictor.model_version} answers ({point}); {predictor.engine.name}"


def _live_folder(settings: CommandSettings) -> Path:
    engine = make_engine(settings)
    try:
        with make_session_factory(engine)() as session:
            version = production_version(session)
    finally:
        engine.dispose()
    return BASELINE if version is None else version_path(version, data_dir=settings.data_dir)


def _check_portal(settings: CommandSettings) -> Finding:
    service = running_service(settings.data_dir)
    url = settings.url or (service.url if service else "")
    if not url:
        waits = "is starting" if is_held(settings.data_dir) else "is not running: overread up"
        return Finding("-", "portal", waits)
    try:
        answer = httpx.get(f"{url}/readyz", timeout=10.0, trust_env=False)
        down = [what for what, word in answer.json().items() if word == "down"]
    except httpx.HTTPError as error:
        return Finding("WRONG", "portal", f"{url} does not answer: {error}")
    except (ValueError, AttributeError):
        return Finding("WRONG", "portal", f"{url} answers, but is no portal of this release")
    says = f"{url} is ready"
    if down:
        down = [what.replace("_", " ") for what in down if what != "status"]
        says = f"{url} answers; down: {', '.join(down)}"
    return Finding("WRONG" if down else "ok", "portal", says)


def _check_audit(settings: CommandSettings) -> Finding:
    """What the service's own check found; `overread audit --verify` makes one now."""
    check = newest_check(settings.data_dir)
    if check is None:
        return Finding("-", "audit", "not checked yet: overread audit --verify")
    when = f"checked {check.time:%Y-%m-%d %H:%M} UTC"
    if check.is_intact:
        return Finding("ok", "audit", f"{check.rows} rows are as written; {when}")
    return Finding("WRONG", "audit", f"broken at row {check.broken}: {check.why}; {when}")


def _check_training() -> Finding:
    if can_train():
        return Finding("ok", "training", "TensorFlow is installed")
    return Finding("-", "training", "TensorFlow is not installed: make setup-train")
