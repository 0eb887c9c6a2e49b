"""Snapshots as lists, for people who look into them."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from models.learning.label_lists import Place, find_places
from models.learning.snapshots import SITE
from models.query import Page
from models.tables.learning import Label, Night, SnapshotImage
from pipeline.types import Split


@dataclass(frozen=True)
class ListedImage:
    """label: the row that counted then. place: where it can be looked at; None where imported."""

    image: SnapshotImage
    label: Label
    place: Place | None


def list_snapshot_images(
    session: Session,
    snapshot_id: int,
    *,
    split: Split | None = None,
    origin: str | None = None,
    page: int = 1,
    page_size: int = 50,
) -> Page[ListedImage]:
    """Images of the site first: only they can be looked at."""
    chosen = [SnapshotImage.snapshot_id == snapshot_id]
    if split is not None:
        chosen.append(SnapshotImage.split == split)
    if origin is not None:
        chosen.append(SnapshotImage.origin == origin)
    total = session.scalar(select(func.count()).select_from(SnapshotImage).where(*chosen)) or 0
    rows = (
        select(SnapshotImage, Label)
        .join(Label, Label.id == SnapshotImage.label_id)
        .options(joinedload(Label.user))
        .where(*chosen)
        .order_by(SnapshotImage.origin != SITE, SnapshotImage.sha256)
        .limit(page_size)
        .offset((page - 1) * page_size)
    )
    found = session.execute(rows).all()
    places = find_places(session, [image.sha256 for image, _ in found])
    items = [ListedImage(image, label, places.get(image.sha256)) for image, label in found]
    return Page(items, page, page_size, total)


def nights_of_snapshot(session: Session, snapshot_id: int) -> list[Night]:
    """The newest first."""
    rows = select(Night).where(Night.snapshot_id == snapshot_id).order_by(Night.id.desc())
    return list(session.scalars(rows.options(joinedload(Night.candidate))))
