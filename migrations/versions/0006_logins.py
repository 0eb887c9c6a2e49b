"""Logins have rows of their own, so that one of them can be ended; a job's sender may name it"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Whoever is logged in logs in once more."""
    op.create_table(
        "login",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_login_user_id_user"),
        sa.PrimaryKeyConstraint("id", name="pk_login"),
        sa.UniqueConstraint("digest", name="uq_login_digest"),
    )
    op.create_index("ix_login_user_id", "login", ["user_id"])
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("key", sa.String(length=64), nullable=True))
        job.create_unique_constraint("uq_job_user_id_key", ["user_id", "key"])


def downgrade() -> None:
    with op.batch_alter_table("job") as job:
        job.drop_constraint("uq_job_user_id_key", type_="unique")
        job.drop_column("key")
    op.drop_table("login")
