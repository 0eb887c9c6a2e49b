"""Predictions say at which operating point, how calibrated, and how far to trust their heatmap"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

ONLY_POINT = "balanced"  # there was one, and this is the name that it has now
UNIQUE = "uq_prediction_sha256_model_version_id"
UNIQUE_WITH_POINT = "uq_prediction_sha256_model_version_id_operating_point"

version = sa.table("model_version", sa.column("id", sa.Integer), sa.column("card", sa.JSON))
prediction = sa.table(
    "prediction",
    sa.column("sha256", sa.String),
    sa.column("model_version_id", sa.Integer),
    sa.column("operating_point", sa.String),
    sa.column("temperature", sa.Double),
)
image = sa.table(
    "image",
    sa.column("sha256", sa.String),
    sa.column("state", sa.String),
    sa.column("attempts", sa.Integer),
    sa.column("finished_at", sa.DateTime),
)


def upgrade() -> None:
    with op.batch_alter_table("prediction") as table:
        table.add_column(sa.Column("operating_point", sa.String(length=16), nullable=True))
        table.add_column(sa.Column("temperature", sa.Double(), nullable=True))
        table.add_column(sa.Column("heatmap_concentration", sa.Double(), nullable=True))
        table.add_column(sa.Column("heatmap_inside_body", sa.Double(), nullable=True))
    op.execute(prediction.update().values(operating_point=ONLY_POINT))
    _fill_temperatures()
    with op.batch_alter_table("prediction") as table:
        table.alter_column("operating_point", existing_type=sa.String(length=16), nullable=False)
        table.drop_constraint(UNIQUE, type_="unique")
        table.create_unique_constraint(
            UNIQUE_WITH_POINT, ["sha256", "model_version_id", "operating_point"]
        )


def _fill_temperatures() -> None:
    """From the cards, which have always named it."""
    connection = op.get_bind()
    for version_id, card in connection.execute(sa.select(version.c.id, version.c.card)).all():
        temperature = card.get("temperature") if isinstance(card, dict) else None
        if isinstance(temperature, int | float):
            mine = prediction.c.model_version_id == version_id
            connection.execute(prediction.update().where(mine).values(temperature=temperature))


def downgrade() -> None:
    _forget_other_points()
    with op.batch_alter_table("prediction") as table:
        table.drop_constraint(UNIQUE_WITH_POINT, type_="unique")
        table.drop_column("heatmap_inside_body")
        table.drop_column("heatmap_concentration")
        table.drop_column("temperature")
        table.drop_column("operating_point")
        table.create_unique_constraint(UNIQUE, ["sha256", "model_version_id"])


def _forget_other_points() -> None:
    """The old tables would show them as the only point's; what they answered waits again."""
    op.execute(prediction.delete().where(prediction.c.operating_point != ONLY_POINT))
    unanswered = ~sa.exists().where(prediction.c.sha256 == image.c.sha256)
    op.execute(
        image.update()
        .where(image.c.state == "predicted", unanswered)
        .values(state="ready", attempts=0, finished_at=None)
    )
