"""What `overread doctor` looks at in the database, and when it is too early to look."""

from pathlib import Path

from sqlalchemy import Engine, make_url

from cli.lockfile import is_held, running_service
from cli.service.findings import Finding, checked
from models.config.settings import Settings
from models.files.orphans import MOST, find_orphans
from models.files.store import FileStore
from models.operations.dump import UnknownRevisionError, check_revision, is_empty
from models.operations.upgrade import RESTORING, current_revision, newest_revision
from models.session import open_database

DAY_S = 24 * 3600


def under_way(data_dir: Path) -> str:
    """What is at work there before anything can be expected to be whole; nothing where nothing."""
    if not is_held(data_dir) or running_service(data_dir) is not None:
        return ""
    return "a restore is at work" if is_half_restored(data_dir) else "the service is starting"


def is_half_restored(data_dir: Path) -> bool:
    return any((data_dir / RESTORING).glob("*"))


def check_database(settings: Settings) -> Finding:
    """Marked "ok" only where it has the tables of this release."""
    at_work = under_way(settings.data_dir)  # asked first: it may be done a moment later
    file = Path(make_url(settings.database).database or "") if settings.is_sqlite else None
    if file and not file.exists():  # connecting would make it
        return Finding("-", "database", f"not there yet: {at_work or 'overread up'}")
    with open_database(settings) as sessions:
        return checked("database", lambda: _check_tables(sessions.engine, at_work))


def check_orphans(settings: Settings, database: Finding) -> Finding:
    """Rows without files, files without rows; what work under way leaves behind is gone later."""
    if database.mark != "ok":
        return Finding("-", "orphans", "not looked for: the database is not ready")
    return checked("orphans", lambda: _no_orphans(settings))


def _check_tables(engine: Engine, at_work: str) -> str | Finding:
    with engine.connect() as connection:
        revision = current_revision(connection)
    if revision == newest_revision():
        return f"{engine.dialect.name}, tables at {revision}"
    if at_work:
        return Finding("-", "database", f"{engine.dialect.name}, being set up: {at_work}")
    if is_empty(engine):
        return Finding("-", "database", f"{engine.dialect.name}, no tables yet: overread up")
    raise LookupError(_why_not(revision))


def _why_not(revision: str | None) -> str:
    if revision is None:
        return "there are tables in it that are not Overread's"
    try:
        check_revision(revision)
    except UnknownRevisionError:
        return f"tables are at {revision}, which only a later release knows"
    return f"tables are at {revision}, expected {newest_revision()}: overread migrate"


def _no_orphans(settings: Settings) -> str:
    store = FileStore(settings.files_dir)
    with open_database(settings) as sessions:
        found = find_orphans(sessions, store, age_s=DAY_S)
        if found:  # once more: a worker may have been at work on them
            later = set(find_orphans(sessions, store, age_s=DAY_S))
            found = [line for line in found if line in later]
    if found:
        number = f"{MOST} or more" if len(found) == MOST else len(found)
        raise LookupError(f"{number}, among them {found[0]}")
    return "no row without its files, no file without its row"
