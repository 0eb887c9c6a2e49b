"""Routes of dataset snapshots: the training data, image by image."""

from collections.abc import Iterator

from apiflask import APIBlueprint
from flask import Response, render_template

from models.learning.snapshots import (
    list_snapshot_images,
    list_snapshots,
    nights_of_snapshot,
    snapshot_images,
    snapshot_lines,
)
from models.tables.learning import DatasetSnapshot
from models.tables.people import Role
from web.auth.rules import needs
from web.context import read_session
from web.http.export import described, download
from web.http.limits import EXPORTS, at_most
from web.http.params import or_404, read_query
from web.http.schemas import Paging
from web.learning.schemas import SnapshotImagesQuery, SnapshotOut, SnapshotsOut

bp = APIBlueprint("snapshots", __name__, tag="Snapshots")

PAGE_SIZE = 50


@bp.get("/snapshots/<int:snapshot_id>")
@needs(Role.VIEWER)
def show_page(snapshot_id: int) -> str:
    query = read_query(SnapshotImagesQuery)
    with read_session() as session:
        return render_template(
            "snapshot.html",
            snapshot=_described(session.get(DatasetSnapshot, snapshot_id)),
            nights=nights_of_snapshot(session, snapshot_id),
            query=query,
            kept=query.kept(),
            images=list_snapshot_images(
                session, snapshot_id, **query.model_dump(), page_size=PAGE_SIZE
            ),
        )


@bp.get("/api/v1/snapshots")
@bp.input(Paging, location="query")
@bp.output(SnapshotsOut)
@needs(Role.VIEWER)
def index(query_data: Paging) -> SnapshotsOut:
    """List snapshots, newest first."""
    with read_session() as session:
        found = list_snapshots(session, page=query_data.page, page_size=PAGE_SIZE)
        return SnapshotsOut(snapshots=[_described(one) for one in found.items], next=found.next)


@bp.get("/api/v1/snapshots/<int:snapshot_id>")
@bp.output(SnapshotOut)
@needs(Role.VIEWER)
def show(snapshot_id: int) -> SnapshotOut:
    """Show a snapshot: its digest, contents and exclusions."""
    with read_session() as session:
        return _described(session.get(DatasetSnapshot, snapshot_id))


@bp.get("/api/v1/snapshots/<int:snapshot_id>/images.csv")
@bp.doc(responses=described("One line for each image", "csv"))
@at_most(EXPORTS)
@needs(Role.VIEWER)
def export(snapshot_id: int) -> Response:
    """Export images, labels, splits and keyed patients; the file's SHA-256 is the digest."""
    with read_session() as session:
        or_404(session.get(DatasetSnapshot, snapshot_id), "snapshot")
    name = f"overread-research-use-only-snapshot-{snapshot_id}"
    return download(
        _lines(snapshot_id),
        name=name,
        kind="csv",
        action="snapshot.exported",
        target=str(snapshot_id),
    )


def _lines(snapshot_id: int) -> Iterator[str]:
    """Exactly as digested: no cell can start with a formula sign, see `snapshot_lines`."""
    with read_session() as session:
        yield from snapshot_lines(snapshot_images(session, snapshot_id))


def _described(found: DatasetSnapshot | None) -> SnapshotOut:
    snapshot = or_404(found, "snapshot")
    row = {"id": snapshot.id, "digest": snapshot.digest, "created_at": snapshot.created_at}
    return SnapshotOut.model_validate(snapshot.report | row)
