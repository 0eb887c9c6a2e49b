"""Images say how their grey levels were read and how wide a pixel is; predictions, how images lay

The orientation of earlier predictions is in one of their warnings, in the words of either release.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision: str | None = "0012"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

CORRECTED = ("corrected before reading", "read with that corrected")
TURNS = {"to the left": 1, "upside down": 2, "to the right": 3}
INVERTED = 4

prediction = sa.table(
    "prediction",
    sa.column("id", sa.Integer),
    sa.column("warnings", sa.JSON),
    sa.column("orientation", sa.Integer),
)


def upgrade() -> None:
    op.add_column("image", sa.Column("range_rule", sa.String(length=16), nullable=True))
    op.add_column("image", sa.Column("pixel_aspect", sa.Double(), nullable=True))
    op.add_column("prediction", sa.Column("orientation", sa.Integer(), nullable=True))
    text = sa.cast(prediction.c.warnings, sa.Text)
    corrected = sa.or_(*(text.contains(words) for words in CORRECTED))
    connection = op.get_bind()
    rows = connection.execute(
        sa.select(prediction.c.id, prediction.c.warnings).where(corrected)
    ).all()
    for prediction_id, warnings in rows:
        connection.execute(
            prediction.update()
            .where(prediction.c.id == prediction_id)
            .values(orientation=_orientation(warnings))
        )


def _orientation(warnings: list[str]) -> int:
    (warning,) = [one for one in warnings if any(words in one for words in CORRECTED)]
    turn = sum(number for words, number in TURNS.items() if words in warning)
    return turn + INVERTED * ("inverted" in warning)


def downgrade() -> None:
    # Not in a batch, which would copy SQLite's tables and lose their AUTOINCREMENT.
    op.execute("ALTER TABLE prediction DROP COLUMN orientation")
    op.execute("ALTER TABLE image DROP COLUMN pixel_aspect")
    op.execute("ALTER TABLE image DROP COLUMN range_rule")
