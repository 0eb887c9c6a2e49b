"""Words that images state and no table knows, and what an admin says of them"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision: str | None = "0013"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "unknown_term",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("keyword", sa.String(64), nullable=False),
        sa.Column("term_hash", sa.String(64), nullable=False),
        sa.Column("value", sa.String(16)),
        sa.Column("patients", sa.JSON(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("meaning", sa.String(16)),
        sa.Column("first_seen_at", moment, nullable=False),
        sa.Column("last_seen_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_unknown_term"),
        sa.UniqueConstraint("keyword", "term_hash", name="uq_unknown_term_keyword_term_hash"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("unknown_term")
