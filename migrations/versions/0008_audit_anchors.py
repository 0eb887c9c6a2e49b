"""The database lists the audit's anchors, so that deleting their file is noticed

Anchors of older releases are in the file only; from now on each new one is in both.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "audit_anchor",
        sa.Column("audit_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("keyed_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name="pk_audit_anchor"),
    )


def downgrade() -> None:
    op.drop_table("audit_anchor")
