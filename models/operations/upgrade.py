"""Bring the data folder and the database to this version of the program; safe to repeat."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, select
from sqlalchemy.orm import Session

from models.audit.log import chain_older, record
from models.config.settings import Settings
from models.files.presence import FOLDERS, StoreAwayError, is_away, make_store, mark_store
from models.files.store import FileStore
from models.installation import check_before_upgrade, establish
from models.learning.promotion import install_baseline
from models.operations.revision import MIGRATIONS, current_revision, newest_revision
from models.operations.seal_inputs import seal_inputs
from models.people.local_token import renew_local_token
from models.people.users import ADMIN, find_user, make_user
from models.session import WRITES, Sessions, keep_wal, open_database, switch_foreign_keys
from models.tables.intake import Image
from models.tables.people import Role
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "head"  # the newest revision, as Alembic calls it
RESTORING = ".restoring"  # in the data folder, while a restore has not ended


class UpgradeRefusedError(PipelineError):
    """One sentence: a restore has not ended, or this program is older than the tables."""


class ForeignKeyError(Exception):
    """Rows refer to rows that do not exist; nothing was changed."""


def upgrade(settings: Settings) -> None:
    """Folder, secrets, tables, the shipped network, the first user with a local token, and seals.

    Raises UpgradeRefusedError and SecretsError.
    """
    if is_half_restored(settings.data_dir):
        raise UpgradeRefusedError(
            f"a restore into {settings.data_dir} has not ended: run overread restore again, "
            "or name a new data folder"
        )
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open_database(settings) as sessions:
        check_before_upgrade(sessions.engine, settings.data_dir)
        migrate(sessions.engine)
        with sessions.begin() as session:
            establish(session, settings)
            if find_user(session, ADMIN) is None:
                make_user(session, name=ADMIN, role=Role.ADMIN)
            install_baseline(session, data_dir=settings.data_dir)
            chain_older(session)
            holds_files = session.scalar(select(Image.id).limit(1)) is not None
        _prepare_store(sessions, settings.files_dir, holds_files=holds_files)
        renew_local_token(sessions, settings.data_dir)


def _prepare_store(sessions: Sessions, root: Path, *, holds_files: bool) -> None:
    """A store that is marked has its network inputs sealed, or it would lose them as damaged."""
    try:
        make_store(root, holds_files=holds_files)
    except StoreAwayError as error:
        raise UpgradeRefusedError(
            f"{root}: {error.strerror} If its files are lost, make the folder {root / FOLDERS[0]}"
        ) from None
    if not is_away(root):
        seal_inputs(sessions, FileStore(root))
    mark_store(root)


def is_half_restored(data_dir: Path) -> bool:
    return (data_dir / RESTORING).exists()


def migrate(engine: Engine, revision: str = HEAD) -> None:
    """Raises UpgradeRefusedError."""
    if revision == HEAD and _is_up_to_date(engine):
        return
    from alembic import command
    from alembic.script.revision import ResolutionError
    from alembic.util import CommandError

    with migrating(engine) as connection:
        try:
            command.upgrade(alembic_config(connection), revision)
        except CommandError as error:
            if not isinstance(error.__cause__, ResolutionError):
                raise
            raise UpgradeRefusedError(
                "the database's tables are those of a later release: "
                "start that release, or restore a backup of this one"
            ) from None


def _is_up_to_date(engine: Engine) -> bool:
    with engine.connect() as connection:
        keep_wal(connection)
        return current_revision(connection) == newest_revision()


@contextmanager
def migrating(engine: Engine) -> Iterator[Connection]:
    """One transaction, in which tables may be replaced that others refer to.

    SQLite replaces a table by dropping it, which deletes what refers to it unless foreign keys are
    off; they can only be switched outside of transactions. They are checked at the end.
    """
    with engine.execution_options(**WRITES).connect() as connection:
        keep_wal(connection)
        switch_foreign_keys(connection, "OFF")
        try:
            with connection.begin():
                yield connection
                check_foreign_keys(connection)
        finally:
            switch_foreign_keys(connection, "ON")


def check_foreign_keys(connection: Connection) -> None:
    """Raises ForeignKeyError. PostgreSQL checks by itself."""
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise ForeignKeyError(
                f"{len(broken)} rows of {broken[0][0]} refer to rows that do not exist"
            )


def alembic_config(connection: Connection | None = None) -> "Config":
    """With a connection to work on, or only to look at the migrations."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def record_by_admin(session: Session, action: str, *, target: str = "") -> None:
    """Record in the audit what whoever runs the service did on its machine."""
    user = find_user(session, ADMIN)
    record(session, user_id=user.id if user else None, action=action, target=target)
