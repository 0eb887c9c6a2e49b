"""Images by job, state and reason, declared files and audit rows are counted as they change"""

from collections.abc import Sequence

from alembic import op

from models.tables.counting import (
    AUDIT,
    IMAGES,
    UPLOADS,
    drop_triggers,
    make_triggers,
    recount_rows,
)

revision = "0016"
down_revision: str | None = "0015"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

COUNTED = (IMAGES, UPLOADS, AUDIT)
INDEXES = {
    "ix_audit_action_created_at": ("audit", ["action", "created_at"]),
    "ix_audit_user_id_created_at": ("audit", ["user_id", "created_at"]),
    "ix_job_created_at": ("job", ["created_at"]),
}


def upgrade() -> None:
    for counted in COUNTED:
        recount_rows(op.get_bind(), counted)
        make_triggers(op.get_bind(), counted)
    for name, (table, columns) in INDEXES.items():
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, (table, _) in INDEXES.items():
        op.drop_index(name, table)
    for counted in COUNTED:
        drop_triggers(op.get_bind(), counted)
        op.execute(f"DELETE FROM kept_count WHERE topic = '{counted.topic}'")  # noqa: S608
