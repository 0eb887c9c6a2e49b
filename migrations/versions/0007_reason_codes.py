"""Refused and failed images carry a reason code beside the sentence

Until now the code was looked up in the sentence whenever metrics were read, so that rewording a
message changed the figures. The table below is that look-up as it was, applied once to old rows.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# The first code whose words occur in the sentence; letters' case counts.
WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("stopped-worker", ("stopped its worker",)),
    ("bytes-missing", ("no longer in the file store",)),
    ("decoder-timeout", ("decoding took longer",)),
    ("decoder-crash", ("the decoder crashed",)),
    ("unexpected", ("unexpected error",)),
    ("not-an-image", ("neither DICOM", "is no DICOM file", "the file is empty")),
    ("not-frontal-chest", ("not a chest radiograph", "frontal views only", "not a radiograph")),
    ("archive", ("archive",)),
    ("too-large", ("too large", "larger than", "too much memory", "frames, received")),
    ("too-small", ("too small",)),
    ("unsupported", ("not supported", "is unknown", "private or unknown", "cannot be decoded as")),
    ("damaged", ("damaged", "cut short", "cannot be read", "do not begin with", "is missing")),
)
OTHER = "other"


def upgrade() -> None:
    op.add_column("image", sa.Column("reason_code", sa.String(length=32), nullable=True))
    image = sa.table("image", *map(sa.column, ("state", "reason", "reason_code")))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    # LIKE would ignore case on SQLite.
    position = sa.func.instr if is_sqlite else sa.func.strpos
    reason = sa.func.coalesce(image.c.reason, "")
    found = [
        (sa.or_(*(position(reason, word) > 0 for word in words)), sa.literal(code))
        for code, words in WORDS
    ]
    op.execute(
        image.update()
        .where(image.c.state.in_(("rejected", "failed")))
        .values(reason_code=sa.case(*found, else_=sa.literal(OTHER)))
    )


def downgrade() -> None:
    # Not in a batch, which would copy SQLite's table and lose its AUTOINCREMENT.
    op.execute("ALTER TABLE image DROP COLUMN reason_code")
