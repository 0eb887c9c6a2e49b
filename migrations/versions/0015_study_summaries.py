"""What the work list sorts and filters by is kept, and how many studies there are"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from models.tables.counting import STUDIES, drop_triggers, make_triggers, recount_rows

revision = "0015"
down_revision: str | None = "0014"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# As `models.worklist.shown` chooses a prediction. Which operating point is set, no table says yet:
# the sweep makes those again where another one's prediction is shown.
IMAGES = """
    SELECT image.study_id, image.job_id, prediction.id AS prediction_id, prediction.finding,
        prediction.probability
    FROM image LEFT JOIN prediction ON prediction.id = (
        SELECT one.id FROM prediction AS one WHERE one.sha256 = image.sha256
        ORDER BY one.model_version_id = (
            SELECT model_version_id FROM model_alias WHERE name = 'production'
            ORDER BY id DESC LIMIT 1
        ) DESC, one.id DESC LIMIT 1)
    WHERE image.study_id IS NOT NULL
"""
SUMMARIES = """
    SELECT study_id, {scope} AS scope,
        max(CASE WHEN finding = 'pneumonia' THEN 2 WHEN finding IS NOT NULL THEN 1 ELSE 0 END)
            AS rank,
        max(CASE WHEN finding = 'pneumonia' THEN probability END) AS suspected,
        max(CASE WHEN finding IS NOT NULL THEN probability END) AS answered,
        count(*) AS images, count(prediction_id) AS predicted
    FROM images GROUP BY {by}
"""
FILL = f"""
    INSERT INTO study_summary
        (study_id, scope, finding, score, created_at, label, images, predicted)
    WITH images AS ({IMAGES}), summaries AS (
        {SUMMARIES.format(scope="''", by="study_id")} UNION ALL
        {SUMMARIES.format(scope="job_id", by="study_id, job_id")})
    SELECT study_id, scope,
        CASE rank WHEN 2 THEN 'pneumonia' WHEN 1 THEN 'normal' ELSE 'none' END,
        coalesce(suspected, answered, -1), study.created_at,
        substr(coalesce(study.folder, study.study_hash), 1, 200), images, predicted
    FROM summaries JOIN study ON study.id = study_id
"""  # noqa: S608  our own words only


def upgrade() -> None:
    op.create_table(
        "kept_count",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("topic", sa.String(16), nullable=False),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("value", sa.String(64), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_kept_count"),
    )
    key = ["topic", "scope", "value"]
    op.create_index("ix_kept_count_topic_scope_value", "kept_count", key)
    op.create_table(
        "summary_basis",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("operating_point", sa.String(16), nullable=False),
        sa.Column("model_version_id", sa.Integer(), nullable=True),
        sa.Column("after_study_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("id = 1", name="ck_summary_basis_is_only"),
        sa.PrimaryKeyConstraint("id", name="pk_summary_basis"),
    )
    op.create_table(
        "study_summary",
        sa.Column("study_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("finding", sa.String(16), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("predicted", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name="fk_study_summary_study_id_study"),
        sa.PrimaryKeyConstraint("study_id", "scope", name="pk_study_summary"),
    )
    op.execute(FILL)
    recount_rows(op.get_bind(), STUDIES)
    make_triggers(op.get_bind(), STUDIES)
    for column in ("score", "created_at", "label", "images"):
        columns = ["scope", "finding", column, "study_id"]
        op.create_index(f"ix_study_summary_{column}", "study_summary", columns)


def downgrade() -> None:
    drop_triggers(op.get_bind(), STUDIES)
    op.drop_table("study_summary")
    op.drop_table("summary_basis")
    op.drop_table("kept_count")
