"""Processes of the service keep a row that says whether they can work"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision: str | None = "0011"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "worker",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("seen_at", moment, nullable=False),
        sa.Column("succeeded_at", moment),
        sa.Column("failed_at", moment),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(32)),
        sa.Column("problem_since", moment),
        sa.PrimaryKeyConstraint("name", name="pk_worker"),
    )


def downgrade() -> None:
    op.drop_table("worker")
