"""Ties a database to the secrets of its data folder: all its patients have one identity key.

Secrets are made only for a new database, once. From then on the database knows the fingerprint of
the identity key, and no process works with missing, damaged or other secrets.
"""

from pathlib import Path

from sqlalchemy import Connection, Engine, event, inspect, select
from sqlalchemy.orm import Session

from models.config.secrets import (
    SECRETS_FILE,
    Secrets,
    SecretsError,
    new_secrets,
    read_secrets,
    write_secrets,
)
from models.config.settings import MADE_FILE, Settings
from models.query import insert_new
from models.tables.installation import Installation
from models.tables.people import User


def establish(session: Session, settings: Settings) -> None:
    """Record whose database this is, and make the secrets of a new one. Safe to repeat, and to do
    from several processes at once. Raises SecretsError.
    """
    data_dir = settings.data_dir
    connection = session.connection()
    if _fingerprint(connection) is None:
        has_users = _has_users(connection)
        if not has_users:
            _refuse_used_folder(settings)
        # Of an older release, or where a first start was interrupted, they exist.
        is_new = not (has_users or (data_dir / SECRETS_FILE).exists())
        found = new_secrets() if is_new else read_secrets(data_dir)
        # Another process that does the same is waited for; the first one's key counts.
        insert_new(session, Installation, [{"key_fingerprint": found.fingerprint}])
        if is_new and _fingerprint(connection) == found.fingerprint:
            write_secrets(data_dir, found)
    check_secrets(connection, read_secrets(data_dir), data_dir=data_dir)


def check_before_upgrade(engine: Engine, data_dir: Path) -> None:
    """Before tables are changed: a database in use needs its secrets. Raises SecretsError."""
    with engine.connect() as connection:
        if _has_users(connection):
            check_secrets(connection, read_secrets(data_dir), data_dir=data_dir)


def check_on_connect(engine: Engine, secrets: Secrets, *, data_dir: Path) -> None:
    """Whatever this engine connects to must be of the same installation.

    Not only now: a process may start while its database's server does not answer.
    """
    is_checked = False

    def check(connection: Connection) -> None:
        nonlocal is_checked
        if not is_checked:
            try:
                is_checked = check_secrets(connection, secrets, data_dir=data_dir)
                connection.rollback()
            except SecretsError:
                connection.close()
                raise

    event.listen(engine, "engine_connect", check)


def check_secrets(connection: Connection, secrets: Secrets, *, data_dir: Path) -> bool:
    """False where the database does not know yet. Raises SecretsError."""
    known = _fingerprint(connection)
    if known is None:
        return False
    if known != secrets.fingerprint:
        raise SecretsError(
            f"{data_dir / SECRETS_FILE} is of another installation than the database: restore it "
            "from a backup of this service, or correct OVERREAD_DATA or OVERREAD_DATABASE_URL"
        )
    return True


def _fingerprint(connection: Connection) -> str | None:
    """None where the database does not know yet."""
    has_table = inspect(connection).has_table(Installation.__tablename__)
    return connection.scalar(select(Installation.key_fingerprint)) if has_table else None


def _has_users(connection: Connection) -> bool:
    has_table = inspect(connection).has_table(User.__tablename__)
    return has_table and connection.scalar(select(User.id).limit(1)) is not None


def _refuse_used_folder(settings: Settings) -> None:
    """The hourly tidy would delete all its files, since no row of a new database needs them. They
    may also lie on a disk that is not mounted now.
    """
    made, files = settings.data_dir / MADE_FILE, settings.files_dir
    if made.exists() or any(next(files.glob(one), None) for one in ("*/??/*", "inputs/*/??/*")):
        raise SecretsError(
            f"{settings.data_dir} is in use, but the database is new: correct "
            "OVERREAD_DATABASE_URL, restore a backup, or name a new data folder"
        )
