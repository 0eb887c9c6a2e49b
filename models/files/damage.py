"""The list of files that were found damaged or lost, which `doctor` and `/metrics` show."""

from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple, get_args

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from models.base import now
from models.query import insert_new
from models.tables.intake import DamagedFile, Image

# Network inputs, by the upload's hash; a model version, by its name; blobs of a backup.
DamageArea = Literal["incoming", "stored", "inputs", "networks", "backup"]
IMAGES_NAMED = 10
DAMAGE_AREAS: tuple[DamageArea, ...] = get_args(DamageArea)


class Damage(NamedTuple):
    area: DamageArea
    name: str

    def __str__(self) -> str:
        return f"{self.area}/{self.name}"


def note_damage(session: Session, found: Iterable[Damage]) -> None:
    rows = [{"area": area, "name": name, "found_at": now()} for area, name in sorted(set(found))]
    insert_new(session, DamagedFile, rows)


def forget_damage(session: Session, ended: Iterable[Damage]) -> None:
    for area, name in ended:
        session.execute(delete(DamagedFile).filter_by(area=area, name=name))


def list_damage(session: Session) -> list[Damage]:
    """In the order in which it was found."""
    rows = select(DamagedFile.area, DamagedFile.name).order_by(DamagedFile.id)
    return [Damage(*row) for row in session.execute(rows)]  # type: ignore[arg-type]


def count_damage(session: Session) -> dict[DamageArea, int]:
    rows = select(DamagedFile.area, func.count()).group_by(DamagedFile.area)
    found = {area: count for area, count in session.execute(rows)}  # noqa: C416  a Result is no Mapping
    return {area: found.get(area, 0) for area in DAMAGE_AREAS}


def damaged_among(session: Session, area: DamageArea, names: Collection[str]) -> set[str]:
    rows = select(DamagedFile.name).filter_by(area=area).where(DamagedFile.name.in_(names))
    return set(session.scalars(rows))


def images_with(session: Session, damage: Damage) -> list[int]:
    """Ids of the first images that have a damaged file."""
    name = Image.stored_sha256 if damage.area == "stored" else Image.sha256
    ids = select(Image.id).where(name == damage.name).order_by(Image.id).limit(IMAGES_NAMED)
    return list(session.scalars(ids))
