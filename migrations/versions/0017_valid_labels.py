"""The label that counts for each file's bytes is kept, and how many there are"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from models.tables.counting import LABELS, drop_triggers, make_triggers, recount_rows

revision = "0017"
down_revision: str | None = "0016"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Each reader's latest; of these the one of the highest role, then the latest.
FILL = """
    INSERT INTO valid_label
        (sha256, value, label_id, patient_hash, is_conflict, reader, role, read_at, dataset_id)
    WITH latest AS (
        SELECT label.*, row_number() OVER (
            PARTITION BY sha256, reader ORDER BY read_at DESC, id DESC) AS number FROM label
    ), ranked AS (
        SELECT latest.*, row_number() OVER (PARTITION BY sha256 ORDER BY
                CASE role WHEN 'admin' THEN 3 WHEN 'operator' THEN 2 WHEN 'reader' THEN 1
                    WHEN 'viewer' THEN 0 ELSE -1 END DESC, read_at DESC, id DESC) AS weight,
            min(CASE WHEN role IS NOT NULL THEN value END) OVER (PARTITION BY sha256) AS least,
            max(CASE WHEN role IS NOT NULL THEN value END) OVER (PARTITION BY sha256) AS greatest
        FROM latest WHERE number = 1
    ), named AS (
        SELECT sha256, patient_hash, row_number() OVER (
            PARTITION BY sha256 ORDER BY read_at DESC, id DESC) AS number
        FROM label WHERE patient_hash IS NOT NULL
    )
    SELECT ranked.sha256, ranked.value, ranked.id, named.patient_hash,
        coalesce(least <> greatest, FALSE), ranked.reader, ranked.role, ranked.read_at,
        (SELECT min(dataset_id) FROM imported_image WHERE imported_image.sha256 = ranked.sha256)
    FROM ranked LEFT JOIN named ON named.sha256 = ranked.sha256 AND named.number = 1
    WHERE ranked.weight = 1
"""
INDEXES = {
    "ix_label_created_at_source": ["created_at", "source"],
    "ix_label_source_reader_read_at": ["source", "reader", "read_at"],
}


def upgrade() -> None:
    op.create_table(
        "valid_label",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("value", sa.String(16), nullable=False),
        sa.Column("label_id", sa.Integer(), nullable=False),
        sa.Column("patient_hash", sa.String(64), nullable=True),
        sa.Column("is_conflict", sa.Boolean(), nullable=False),
        sa.Column("reader", sa.String(80), nullable=False),
        sa.Column("role", sa.String(16), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name="pk_valid_label"),
    )
    op.execute(FILL)
    op.create_index(
        "ix_valid_label_is_conflict_label_id", "valid_label", ["is_conflict", "label_id"]
    )
    op.create_index("ix_valid_label_label_id", "valid_label", ["label_id"])
    for name, columns in INDEXES.items():
        op.create_index(name, "label", columns)
    recount_rows(op.get_bind(), LABELS)
    make_triggers(op.get_bind(), LABELS)


def downgrade() -> None:
    drop_triggers(op.get_bind(), LABELS)
    op.execute("DELETE FROM kept_count WHERE topic = 'labels'")
    for name in INDEXES:
        op.drop_index(name, "label")
    op.drop_table("valid_label")
