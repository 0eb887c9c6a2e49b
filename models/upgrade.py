"""Brings the data folder and the database to this version of the program; safe to repeat."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine

from models.audit import chain_older
from models.local_token import read_or_make_local_token
from models.secrets import read_or_make_secrets
from models.session import WRITES, make_engine, make_session_factory
from models.settings import Settings
from models.tables import Role
from models.users import ADMIN, find_user, make_user
from models.versions import install_baseline

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def upgrade(settings: Settings) -> None:
    """Folder, secrets, tables, the shipped network, and the first user with a local token."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    read_or_make_secrets(settings.data_dir)
    engine = make_engine(settings)
    try:
        migrate(engine)
        _fill(engine, settings.data_dir)
    finally:
        engine.dispose()


def migrate(engine: Engine, revision: str = "head") -> None:
    with engine.execution_options(**WRITES).begin() as connection:
        command.upgrade(alembic_config(connection), revision)


def unmigrate(engine: Engine, revision: str = "base") -> None:
    """Back to an older revision; what only the newer tables could hold is lost."""
    with engine.execution_options(**WRITES).begin() as connection:
        command.downgrade(alembic_config(connection), revision)


def alembic_config(connection: Connection | None = None) -> Config:
    """With a connection to work on, or only to look at the migrations."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _fill(engine: Engine, data_dir: Path) -> None:
    with make_session_factory(engine).begin() as session:
        user = find_user(session, ADMIN) or make_user(session, name=ADMIN, role=Role.ADMIN)
        read_or_make_local_token(session, user, data_dir)
        install_baseline(session, data_dir=data_dir)
        chain_older(session)
