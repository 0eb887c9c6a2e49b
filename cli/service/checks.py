"""What `overread doctor` checks."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy.exc import SQLAlchemyError

from cli.lockfile import is_held, running_service
from cli.settings import CommandSettings, masked
from models.audit.verify import CHECK_FILE, newest_check
from models.config.secrets import SECRETS_FILE, read_secrets
from models.files.damage import list_damage
from models.files.orphans import MOST, find_orphans
from models.files.presence import require_store
from models.files.store import FileStore
from models.installation import check_secrets
from models.intake.terms import list_terms
from models.learning.promotion import production_version
from models.learning.versions import version_path
from models.operations.backup_folder import BackupRefusedError
from models.operations.dump import check_revision, is_empty
from models.operations.heartbeat import (
    NO_HEARTBEAT,
    ROLES,
    alive_workers,
    probe_writes,
    problems,
)
from models.operations.integrity import SHARES
from models.operations.revision import current_revision, newest_revision
from models.operations.upgrade import is_half_restored
from models.operations.verification import read_verification
from models.session import open_database, sqlite_file, why_away
from pipeline.errors import DecoderError
from pipeline.inference.engine import tensorflow_is_installed
from pipeline.inference.predictor import BLANK, Predictor
from pipeline.inference.version_folder import BASELINE
from pipeline.prepare.pool import DecoderPool
from pipeline.prepare.sandbox.contain import ON
from pipeline.text import plural
from worker.embedded_broker import is_answering

DAY_S = 24 * 3600


@dataclass(frozen=True)
class Finding:
    """status: "ok", "-" (absent, and not required yet), "WARNING" or "WRONG"."""

    status: str
    check: str
    message: str


class AbsentError(Exception):
    """Not there, and need not be."""


class WarningError(Exception):
    """It works, but somebody should look at it."""


class WrongError(Exception):
    pass


def run_checks(settings: CommandSettings, names: Sequence[str] = ()) -> Iterator[Finding]:
    """Run all checks, or those named, in this order: some depend on the database's status."""
    database = "-"
    checks: dict[str, Callable[[], str]] = {
        "data": lambda: _check_data(settings),
        "database": lambda: _check_database(settings),
        "secrets": lambda: _check_secrets(settings, database),
        "writes": lambda: _check_writes(settings, database),
        "broker": lambda: _check_broker(settings),
        "files": lambda: _check_files(settings),
        "orphans": lambda: _check_orphans(settings, database),
        "integrity": lambda: _check_integrity(settings, database),
        "network": lambda: _check_network(settings, database),
        "workers": lambda: _check_workers(settings, database),
        "words": lambda: _check_words(settings, database),
        "portal": lambda: _check_portal(settings),
        "audit": lambda: _check_audit(settings),
        "training": _check_training,
    }
    for name in names or checks:
        try:
            finding = Finding("ok", name, checks[name]())
        except AbsentError as error:
            finding = Finding("-", name, str(error))
        except WarningError as error:
            finding = Finding("WARNING", name, str(error))
        except Exception as error:
            finding = Finding("WRONG", name, masked(_first_line(error)))
        if name == "database":
            database = finding.status
        yield finding
    if not names:
        yield from _check_containment()


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0]


def _starting(data_dir: Path) -> str:
    """What is running that is not ready yet; empty if nothing is."""
    if not is_held(data_dir) or running_service(data_dir) is not None:
        return ""
    return "a restore is running" if is_half_restored(data_dir) else "the service is starting"


def _check_data(settings: CommandSettings) -> str:
    folder = settings.data_dir
    if not folder.exists():
        raise AbsentError(f"{folder} does not exist yet; run: overread up")
    if not folder.is_dir():
        raise WrongError(f"{folder} is not a folder")
    _require_access(folder)
    if is_half_restored(folder) and not is_held(folder):
        raise WrongError(f"{folder} is half restored; run the same overread restore again")
    if folder.stat().st_mode & 0o077:
        raise WrongError(f"{folder} is accessible to others; run: chmod 700 {folder}")
    free = shutil.disk_usage(folder).free
    message = f"{folder}, {free / 2**30:.1f} GiB free"
    if free < settings.disk_reserve_bytes:
        raise WrongError(f"{message}, below OVERREAD_DISK_RESERVE_BYTES: uploads are refused")
    return message


def _require_access(folder: Path) -> None:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        who = f"this user ({os.geteuid()})"
        raise WrongError(f"{folder} cannot be read and written by {who}; run doctor as its owner")


def _check_database(settings: CommandSettings) -> str:
    starting = _starting(settings.data_dir)  # before looking: it may be ready a moment later
    file = sqlite_file(settings)
    if file and not file.exists():  # connecting would create it
        raise AbsentError(f"does not exist yet; {starting or 'run: overread up'}")
    with open_database(settings) as sessions:
        dialect = sessions.engine.dialect.name
        with sessions.engine.connect() as connection:
            revision = current_revision(connection)
        if revision == newest_revision():
            return f"{dialect}, tables at {revision}"
        if starting:
            raise AbsentError(f"{dialect}, not ready yet; {starting}")
        if is_empty(sessions.engine):
            raise AbsentError(f"{dialect}, no tables yet; run: overread up")
    if revision is None:
        raise WrongError("contains tables of another program")
    try:
        check_revision(revision)
    except BackupRefusedError:
        raise WrongError(f"tables are at {revision}, of a later release") from None
    raise WrongError(f"tables are at {revision}, not {newest_revision()}; run: overread migrate")


def _check_secrets(settings: CommandSettings, database: str) -> str:
    data_dir = settings.data_dir
    if database == "-" and not (data_dir / SECRETS_FILE).exists():
        raise AbsentError(_starting(data_dir) or "do not exist yet; run: overread up")
    secrets = read_secrets(data_dir)
    if database != "ok":
        return "complete; not compared: the database is not ready"
    with open_database(settings) as sessions, sessions.engine.connect() as connection:
        if not check_secrets(connection, secrets, data_dir=data_dir):
            raise AbsentError("not recorded in the database yet; run: overread up")
    return "complete, and those of the database"


def _check_writes(settings: CommandSettings, database: str) -> str:
    """A full disk, a standby and a file without write permission show only in a commit."""
    if database != "ok":
        raise AbsentError("not checked: the database is not ready")
    with open_database(settings) as sessions:
        try:
            probe_writes(sessions, "doctor")
        except SQLAlchemyError as error:
            raise WrongError(f"the database cannot be written: {why_away(error)}") from None
    return "the database can be written"


def _check_broker(settings: CommandSettings) -> str:
    service = running_service(settings.data_dir)
    url = settings.broker_url or (service.broker_url if service else "")
    if not url:
        raise AbsentError(_starting(settings.data_dir) or "not running; run: overread up")
    if not is_answering(url):
        raise WrongError(f"{masked(url)} does not answer")
    return f"{masked(url)} answers"


def _check_files(settings: CommandSettings) -> str:
    """Write, read and delete, as a worker would."""
    if not settings.data_dir.exists():
        raise AbsentError("do not exist yet; run: overread up")
    require_store(settings.files_dir)
    store = FileStore(settings.files_dir)
    stored = store.put_bytes(b"overread doctor")
    content = store.path(stored.sha256).read_bytes()
    store.delete(stored.sha256, area="stored")
    if content != b"overread doctor":
        raise WrongError("a file was not read as it was written")
    return f"{settings.files_dir} is writable and readable"


def _check_orphans(settings: CommandSettings, database: str) -> str:
    """Find rows without files, and files without rows."""
    if database != "ok":
        raise AbsentError("not checked: the database is not ready")
    store = FileStore(settings.files_dir)
    with open_database(settings) as sessions:
        found = find_orphans(sessions, store, age_s=2 * DAY_S)
        if found:  # a worker may have been changing them
            later = set(find_orphans(sessions, store, age_s=2 * DAY_S))
            found = [line for line in found if line in later]
    if found:
        number = f"{MOST} or more" if len(found) == MOST else len(found)
        raise WrongError(f"{number}, e.g. {found[0]}")
    return "every row has its files and every file its row"


def _check_integrity(settings: CommandSettings, database: str) -> str:
    """Report what was found damaged, and how far the service's own verification has come."""
    if database != "ok":
        raise AbsentError("not checked: the database is not ready")
    with open_database(settings) as sessions, sessions() as session:
        damage = list_damage(session)
    if damage:
        files = plural(len(damage), "file")
        raise WrongError(f"{files} damaged or lost, e.g. {damage[0]}; run: overread verify")
    verification = read_verification(settings.data_dir)
    if verification is None:
        raise AbsentError("nothing was verified yet; run: overread verify")
    current, last = verification.current, verification.last
    counted = f"{plural(current.files, 'file')} intact since {current.began_at:%Y-%m-%d %H:%M} UTC"
    before = f"; {last.files:,} in the round before" if last else ""
    return f"{counted}, {100 * current.shares // SHARES} % of this round{before}"


def _check_network(settings: CommandSettings, database: str) -> str:
    """Open the production version as a worker does, with its checksums, and predict once.

    Without a database that names it, the shipped network.
    """
    folder, which = BASELINE, ""
    if database == "ok":
        with open_database(settings) as sessions, sessions() as session:
            if version := production_version(session):
                folder = version_path(version, data_dir=settings.data_dir)
    elif database == "WRONG":
        which = "; the shipped network, since the database does not say which version is live"
    predictor = Predictor.open(folder, operating_point=settings.operating_point)
    probability = predictor.predict(BLANK)[0].probability
    if not 0.0 <= probability <= 1.0:
        raise WrongError(
            f"{predictor.card.model_version} predicts {probability}, not a probability"
        )
    point = f"{predictor.card.operating_point}, threshold {predictor.card.threshold:g}"
    return f"{predictor.card.model_version} answers ({point}); {predictor.engine.name}{which}"


def _check_workers(settings: CommandSettings, database: str) -> str:
    """What they say of themselves, if the service runs."""
    if database != "ok":
        raise AbsentError("not checked: the database is not ready")
    with open_database(settings) as sessions, sessions() as session:
        alive = alive_workers(session)
        since = {worker.role: worker.problem_since for worker in alive if worker.problem_since}
        reasons = problems(session)
    if set(reasons.values()) == {NO_HEARTBEAT} and running_service(settings.data_dir) is None:
        raise AbsentError(_starting(settings.data_dir) or "not running; run: overread up")
    wrong = [
        f"{role}: {problem}" + (f" since {since[role]:%Y-%m-%d %H:%M} UTC" if role in since else "")
        for role, problem in reasons.items()
        if problem
    ]
    if wrong:
        raise WrongError(f"{'; '.join(wrong)}; the reason is in the log of the worker")
    return f"{' and '.join(ROLES)} work"


def _check_words(settings: CommandSettings, database: str) -> str:
    """Count them only: a word may be a name."""
    if database != "ok":
        raise AbsentError("not checked: the database is not ready")
    with open_database(settings) as sessions, sessions() as session:
        unknown = sum(term.meaning is None for term in list_terms(session))
    if unknown:
        words = plural(unknown, "unknown word")
        raise WarningError(f"{words} for body parts or views; an admin opens the page Words")
    return "all words for body parts and views are known"


def _check_portal(settings: CommandSettings) -> str:
    service = running_service(settings.data_dir)
    url = settings.url or (service.url if service else "")
    if not url:
        raise AbsentError(_starting(settings.data_dir) or "not running; run: overread up")
    try:
        answer = httpx.get(f"{url}/readyz", timeout=10.0, trust_env=False)
        states = answer.json().items()
    except httpx.HTTPError as error:
        raise WrongError(f"{url} does not answer: {error}") from None
    except (ValueError, AttributeError):
        raise WrongError(f"{url} is not an Overread portal of this release") from None
    down = [what for what, state in states if state == "down"]
    if down:
        reasons = answer.json().get("reasons", {})
        parts = ", ".join(
            f"{what.replace('_', ' ')} ({reasons.get(what, 'no reason given')})"
            for what in down
            if what != "status"
        )
        raise WrongError(f"{url} answers; down: {parts}")
    return f"{url} is ready"


def _check_audit(settings: CommandSettings) -> str:
    """Report the service's last own check."""
    check = newest_check(settings.data_dir)
    if check is None:
        if (settings.data_dir / CHECK_FILE).exists():
            raise WrongError(f"{settings.data_dir / CHECK_FILE} cannot be read")
        raise AbsentError("not checked yet; run: overread audit --verify")
    when = f"checked {check.time:%Y-%m-%d %H:%M} UTC"
    if not check.is_intact:
        raise WrongError(f"broken at row {check.broken}: {check.why}; {when}")
    return f"{check.rows} rows intact; {when}"


def _check_containment() -> list[Finding]:
    try:
        with DecoderPool(processes=1, timeout_s=1) as pool:
            return containment_findings(pool.containment())
    except (DecoderError, OSError) as error:
        return [Finding("WRONG", "decoders", _first_line(error))]


def containment_findings(layers: Mapping[str, str]) -> list[Finding]:
    """Return a warning for each layer of `DecoderPool.containment` that the kernel denies."""
    missing = [
        Finding("WARNING", "decoders", f"hostile files are not contained by {layer}: {reason}")
        for layer, reason in layers.items()
        if reason != ON
    ]
    ok = Finding("ok", "decoders", f"hostile files are contained by {', '.join(layers)}")
    return missing or [ok]


def _check_training() -> str:
    if not tensorflow_is_installed():
        raise AbsentError("TensorFlow is not installed; run: make setup-train")
    return "TensorFlow is installed"
