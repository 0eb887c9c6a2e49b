"""Labels, frozen training data, nights; how a version came to be live; SOP Instance UIDs"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Those that refer to others first.
TABLES = (
    "snapshot_image",
    "label",
    "imported_image",
    "rereading",
    "night",
    "evaluation",
    "imported_dataset",
    "fingerprint",
    "dataset_snapshot",
)

alias = sa.table("model_alias", sa.column("move", sa.String))


def upgrade() -> None:
    op.create_table(
        "dataset_snapshot",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dataset_snapshot"),
        sa.UniqueConstraint("digest", name="uq_dataset_snapshot_digest"),
    )
    op.create_table(
        "fingerprint",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("preprocessing", sa.String(length=16), nullable=False),
        sa.Column("input_sha256", sa.String(length=64), nullable=False),
        sa.Column("perceptual_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "preprocessing", name="pk_fingerprint"),
    )
    op.create_table(
        "evaluation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_version_id", sa.Integer(), nullable=False),
        sa.Column("snapshot_id", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(length=80), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_version.id"],
            name="fk_evaluation_model_version_id_model_version",
        ),
        sa.ForeignKeyConstraint(
            ["snapshot_id"],
            ["dataset_snapshot.id"],
            name="fk_evaluation_snapshot_id_dataset_snapshot",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_evaluation"),
        sa.UniqueConstraint(
            "model_version_id",
            "snapshot_id",
            "origin",
            name="uq_evaluation_model_version_id_snapshot_id_origin",
        ),
    )
    op.create_table(
        "imported_dataset",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("has_own_splits", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_imported_dataset_user_id_user"),
        sa.PrimaryKeyConstraint("id", name="pk_imported_dataset"),
        sa.UniqueConstraint("name", name="uq_imported_dataset_name"),
    )
    op.create_table(
        "night",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("is_open", sa.Boolean(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("leased_by", sa.String(length=32), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_cancelled", sa.Boolean(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("progress", sa.String(length=300), nullable=False),
        sa.Column("new_labels", sa.Integer(), nullable=True),
        sa.Column("snapshot_id", sa.Integer(), nullable=True),
        sa.Column("production_id", sa.Integer(), nullable=True),
        sa.Column("candidate_id", sa.Integer(), nullable=True),
        sa.Column(
            "outcome",
            sa.Enum(
                "nothing",
                "refused",
                "proposed",
                "promoted",
                "cancelled",
                "failed",
                name="outcome",
                native_enum=False,
                length=16,
            ),
            nullable=True,
        ),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("decision", sa.JSON(), nullable=True),
        sa.Column("drift", sa.JSON(), nullable=True),
        sa.Column(
            "answer",
            sa.Enum("promoted", "rejected", name="answer", native_enum=False, length=16),
            nullable=True,
        ),
        sa.Column("answered_by", sa.Integer(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["answered_by"], ["user.id"], name="fk_night_answered_by_user"),
        sa.ForeignKeyConstraint(
            ["candidate_id"], ["model_version.id"], name="fk_night_candidate_id_model_version"
        ),
        sa.ForeignKeyConstraint(
            ["production_id"], ["model_version.id"], name="fk_night_production_id_model_version"
        ),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["dataset_snapshot.id"], name="fk_night_snapshot_id_dataset_snapshot"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_night_user_id_user"),
        sa.PrimaryKeyConstraint("id", name="pk_night"),
        sa.UniqueConstraint("due_at", name="uq_night_due_at"),
        sa.UniqueConstraint("is_open", name="uq_night_is_open"),
    )
    op.create_table(
        "rereading",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_version_id", sa.Integer(), nullable=False),
        sa.Column("operating_point", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("after_image_id", sa.Integer(), nullable=False),
        sa.Column("last_image_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_version.id"],
            name="fk_rereading_model_version_id_model_version",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_rereading_user_id_user"),
        sa.PrimaryKeyConstraint("id", name="pk_rereading"),
        sa.UniqueConstraint(
            "model_version_id",
            "operating_point",
            name="uq_rereading_model_version_id_operating_point",
        ),
    )
    op.create_table(
        "imported_image",
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("file", sa.String(length=1024), nullable=False),
        sa.Column("patient_hash", sa.String(length=64), nullable=False),
        sa.Column("study_hash", sa.String(length=64), nullable=True),
        sa.Column(
            "split",
            sa.Enum("train", "validation", "test", name="split", native_enum=False, length=16),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["imported_dataset.id"],
            name="fk_imported_image_dataset_id_imported_dataset",
        ),
        sa.PrimaryKeyConstraint("dataset_id", "sha256", name="pk_imported_image"),
    )
    op.create_index("ix_imported_image_sha256", "imported_image", ["sha256"])
    op.create_table(
        "label",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column(
            "value",
            sa.Enum(
                "pneumonia", "normal", "unusable", name="labelvalue", native_enum=False, length=16
            ),
            nullable=False,
        ),
        sa.Column("patient_hash", sa.String(length=64), nullable=True),
        sa.Column("reader", sa.String(length=80), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "viewer", "reader", "operator", "admin", name="role", native_enum=False, length=16
            ),
            nullable=True,
        ),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column(
            "source",
            sa.Enum("portal", "csv", "dataset", name="source", native_enum=False, length=16),
            nullable=False,
        ),
        sa.Column("dataset_id", sa.Integer(), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["imported_dataset.id"], name="fk_label_dataset_id_imported_dataset"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_label_user_id_user"),
        sa.PrimaryKeyConstraint("id", name="pk_label"),
    )
    op.create_index("ix_label_sha256_id", "label", ["sha256", "id"])

    op.create_table(
        "snapshot_image",
        sa.Column("snapshot_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column(
            "label",
            sa.Enum(
                "pneumonia", "normal", "unusable", name="labelvalue", native_enum=False, length=16
            ),
            nullable=False,
        ),
        sa.Column("label_id", sa.Integer(), nullable=False),
        sa.Column("patient_hash", sa.String(length=64), nullable=False),
        sa.Column(
            "split",
            sa.Enum("train", "validation", "test", name="split", native_enum=False, length=16),
            nullable=False,
        ),
        sa.Column("origin", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["label_id"], ["label.id"], name="fk_snapshot_image_label_id_label"
        ),
        sa.ForeignKeyConstraint(
            ["snapshot_id"],
            ["dataset_snapshot.id"],
            name="fk_snapshot_image_snapshot_id_dataset_snapshot",
        ),
        sa.PrimaryKeyConstraint("snapshot_id", "sha256", name="pk_snapshot_image"),
    )
    with op.batch_alter_table("image") as table:
        table.add_column(sa.Column("sop_instance_uid", sa.String(length=64), nullable=True))
    op.create_index("ix_image_sop_instance_uid", "image", ["sop_instance_uid"])
    _add_move()


def _add_move() -> None:
    """Until now there were only promotions."""
    kind = sa.Enum("promotion", "roll-back", name="move", native_enum=False, length=16)
    with op.batch_alter_table("model_alias") as table:
        table.add_column(sa.Column("move", kind, nullable=True))
    op.execute(alias.update().values(move="promotion"))
    with op.batch_alter_table("model_alias") as table:
        table.alter_column("move", existing_type=kind, nullable=False)


def downgrade() -> None:
    """Labels, snapshots and nights are lost; what went live stays live."""
    with op.batch_alter_table("model_alias") as table:
        table.drop_column("move")
    op.drop_index("ix_image_sop_instance_uid", "image")
    with op.batch_alter_table("image") as table:
        table.drop_column("sop_instance_uid")
    for table_name in TABLES:
        op.drop_table(table_name)
