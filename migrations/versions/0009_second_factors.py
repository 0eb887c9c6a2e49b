"""Users may have a second factor; logins know when they were last used and confirmed"""

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Whoever is logged in stays so; their last confirmation was the login."""
    op.add_column("user", sa.Column("totp_nonce", sa.String(length=64), nullable=True))
    op.add_column("user", sa.Column("totp_step", sa.Integer(), nullable=True))
    op.create_table(
        "recovery_code",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_recovery_code_user_id_user"),
        sa.PrimaryKeyConstraint("id", name="pk_recovery_code"),
        sa.UniqueConstraint("digest", name="uq_recovery_code_digest"),
    )
    op.create_index("ix_recovery_code_user_id", "recovery_code", ["user_id"])
    op.add_column("login", sa.Column("seen_at", TIME, nullable=True))
    op.add_column("login", sa.Column("confirmed_at", TIME, nullable=True))
    login = sa.table(
        "login", sa.column("seen_at", TIME), *map(sa.column, ("confirmed_at", "created_at"))
    )
    op.execute(login.update().values(seen_at=datetime.now(UTC), confirmed_at=login.c.created_at))
    with op.batch_alter_table("login") as table:
        table.alter_column("seen_at", existing_type=TIME, nullable=False)
        table.alter_column("confirmed_at", existing_type=TIME, nullable=False)


def downgrade() -> None:
    """Second factors are off."""
    op.drop_column("login", "confirmed_at")
    op.drop_column("login", "seen_at")
    op.drop_table("recovery_code")
    op.drop_column("user", "totp_step")
    op.drop_column("user", "totp_nonce")
