"""Declared uploads, cancelled jobs, passwords, token scopes, lock-outs, a chained audit"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

CANCELLED = "the job was cancelled"

image = sa.table("image", sa.column("state", sa.String), sa.column("reason", sa.String))


def upgrade() -> None:
    _add_people()
    _add_uploads()
    op.drop_index("ix_image_state_id", "image")
    op.create_index("ix_image_state_job_id_id", "image", ["state", "job_id", "id"])
    op.create_index("ix_image_state_attempts_id", "image", ["state", "attempts", "id"])
    op.create_index("ix_image_finished_at", "image", ["finished_at"])
    # Older rows get theirs at the next start, which knows how it is made.
    op.add_column("audit", sa.Column("digest", sa.String(length=64), nullable=True))


def _add_people() -> None:
    epoch = sa.Column("session_epoch", sa.Integer(), nullable=False, server_default="0")
    op.add_column("user", sa.Column("password_hash", sa.String(length=200), nullable=True))
    op.add_column("user", epoch)
    op.add_column("token", sa.Column("name", sa.String(length=80), nullable=True))
    op.add_column("token", sa.Column("role", sa.String(length=16), nullable=True))
    op.add_column("token", sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "lockout",
        sa.Column("name_hash", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name_hash", name="pk_lockout"),
    )


def _add_uploads() -> None:
    op.add_column("job", sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "upload",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("file", sa.String(length=1024), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_upload_job_id_job"),
        sa.PrimaryKeyConstraint("id", name="pk_upload"),
        sa.UniqueConstraint(
            "job_id", "file", "size", "sha256", name="uq_upload_job_id_file_size_sha256"
        ),
    )
    op.create_index("ix_upload_job_id_arrived_at", "upload", ["job_id", "arrived_at"])


def downgrade() -> None:
    """What was cancelled counts as failed; passwords, scopes and declarations are lost."""
    op.execute(
        image.update().where(image.c.state == "cancelled").values(state="failed", reason=CANCELLED)
    )
    # A scoped token would come back as one that may do everything.
    op.execute("DELETE FROM token WHERE role IS NOT NULL OR revoked_at IS NOT NULL")
    op.drop_column("audit", "digest")
    op.drop_index("ix_image_finished_at", "image")
    op.drop_index("ix_image_state_attempts_id", "image")
    op.drop_index("ix_image_state_job_id_id", "image")
    op.create_index("ix_image_state_id", "image", ["state", "id"])
    op.drop_table("upload")
    op.drop_column("job", "cancelled_at")
    op.drop_table("lockout")
    for column in ("name", "role", "revoked_at"):
        op.drop_column("token", column)
    for column in ("session_epoch", "password_hash"):
        op.drop_column("user", column)
