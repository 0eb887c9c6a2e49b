"""Run by Alembic. `models.operations.upgrade` hands over an open connection
whose transaction it owns.
"""

from alembic import context

from models.base import Base
from models.tables import learning as learning_tables  # noqa: F401  adds its tables to the metadata
from models.tables import terms as terms_tables  # noqa: F401
from models.tables import workers as workers_tables  # noqa: F401
from models.tables import worklist as worklist_tables  # noqa: F401

LOCK_TIMEOUT = "10s"  # a migration that waits behind others blocks those that come after it


def run() -> None:
    connection = context.config.attributes["connection"]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        # Two processes that start at once: the second waits, then finds nothing to do.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(8306)")
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
