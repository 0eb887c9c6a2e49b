"""An id is given out once, also where the newest rows were purged

PostgreSQL's sequences never go back. SQLite takes the highest id that is left plus one, so that an
address or a picture that a browser keeps could come to mean another patient's image.
"""

from collections.abc import Sequence

from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLES = ("study", "image", "prediction", "label", "upload")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in TABLES:
            once = {"sqlite_autoincrement": True}
            with op.batch_alter_table(table, recreate="always", table_kwargs=once):
                pass  # copied as it is


def downgrade() -> None:
    """Nothing: older releases work with these tables as well."""
