"""Predictions say as whose image they were read: a child's or an adult's

None in earlier rows, and where the version reads both alike.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision: str | None = "0017"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("prediction", sa.Column("population", sa.String(16), nullable=True))


def downgrade() -> None:
    op.execute("ALTER TABLE prediction DROP COLUMN population")
