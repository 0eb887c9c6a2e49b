"""Routes of labels: give, import, list and count them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from apiflask import APIBlueprint
from flask import abort, render_template, request
from sqlalchemy.orm import Session

from models.base import now
from models.learning.label_lists import ListedLabel, label_counts, list_labels
from models.learning.labels import (
    NewLabel,
    add_labels,
    find_by_image_id,
    find_by_sha256,
    latest_labels,
)
from models.learning.nights import next_due
from models.learning.snapshots import new_label_count
from models.slots import Slots
from models.tables.intake import Image
from models.tables.learning import Label, Source
from models.tables.people import Role
from pipeline.files.table import TableError
from pipeline.limits import MAX_TABLE_BYTES
from web.auth.rules import needs, person, record_action
from web.context import current_context, current_settings, read_session, write_session
from web.http.limits import IMPORTS, at_most, takes
from web.http.params import or_404, read_query
from web.http.schemas import Out, Paging
from web.labels.csv_import import take_label_table
from web.labels.schemas import (
    GivenLabel,
    GivenLabels,
    LabelOut,
    LabelsOut,
    LabelsQuery,
    LabelSummaryOut,
    SaidOut,
    TableTakenOut,
    TakenOut,
)

bp = APIBlueprint("labels", __name__, tag="Labels")

PAGE_SIZE = 100
TABLE_SLOTS = Slots("label tables", 3)  # a large one is in memory, for half a minute
TABLE = (
    "A CSV in UTF-8, UTF-16 (with a byte order mark) or Windows-1252, with commas, semicolons or "
    "tabs, whose first row names its columns."
)
LABELS_BYTES = 256 * 2**10  # 1,000 labels
CONFLICTS_A_PAGE = 25
NEW_COUNTED_TO = 1000  # labels since the last training; further ones are not counted


@bp.get("/labels")
@needs(Role.VIEWER)
def show_page() -> str:
    page = read_query(Paging).page
    with read_session() as session:
        conflicts = list_labels(session, only_conflicts=True, page=page, page_size=CONFLICTS_A_PAGE)
        summary = _summary(session)
    return render_template(
        "labels.html", conflicts=conflicts, summary=summary, counted_to=NEW_COUNTED_TO
    )


@bp.get("/labels/images/<int:image_id>")
@needs(Role.VIEWER)
def show_said(image_id: int) -> str:
    """The part of the study page that changes with a label."""
    with read_session() as session:
        image = or_404(session.get(Image, image_id), "image")
        labels = latest_labels(session, [image.sha256])[image.sha256]
    return render_template("label_list.html", labels=labels)


@bp.get("/api/v1/labels")
@bp.input(LabelsQuery, location="query")
@bp.output(LabelsOut)
@needs(Role.VIEWER)
def index(query_data: LabelsQuery) -> LabelsOut:
    """List the valid label of each image and the labels of all readers, latest first."""
    with read_session() as session:
        found = list_labels(
            session,
            only_conflicts=query_data.only_conflicts,
            after=query_data.after,
            page=1 if query_data.after else query_data.page,
            page_size=PAGE_SIZE,
        )
    return LabelsOut(
        labels=[_out(one) for one in found.items],
        total=found.total,
        next=None if query_data.after else found.next,
        next_after=found.next_after,
    )


@bp.get("/api/v1/labels/summary")
@bp.output(LabelSummaryOut)
@needs(Role.VIEWER)
def summary() -> Out:
    """Count labels, by origin and reader, and those needed for the next retraining."""
    with read_session() as session:
        return _summary(session)


@bp.post("/api/v1/labels")
@bp.input(GivenLabels)
@bp.output(TakenOut)
@bp.doc(responses=[404])
@takes(LABELS_BYTES)
@needs(Role.READER)
def give(json_data: GivenLabels) -> TakenOut:
    """Give labels to images. All of them are saved, or none."""
    reader = person()
    with write_session() as session:
        hashes = _hashes(session, json_data.labels)
        rows = [
            NewLabel(
                sha256=sha256,
                value=one.label,
                reader=reader.name,
                role=reader.role,
                user_id=reader.id,
                source=Source.PORTAL,
            )
            for sha256, one in zip(hashes, json_data.labels, strict=True)
        ]
        added = add_labels(session, rows, insist=True)
        target = f"{len(rows)} images" if len(rows) > 1 else hashes[0]
        record_action(session, "labels.given", target)
    return TakenOut(added=added, unchanged=len(rows) - added)


@bp.post("/api/v1/labels/csv")
@bp.output(TableTakenOut)
@bp.doc(description=TABLE, responses=[422])
@at_most(IMPORTS)
@takes(MAX_TABLE_BYTES)
@needs(Role.READER)
def give_table() -> TableTakenOut:
    """Import a CSV of labels. Refused rows are listed by number, all others are imported."""
    if request.mimetype != "text/csv":
        abort(415, "expected text/csv")
    try:
        with TABLE_SLOTS.take():
            content = request.get_data(cache=False)
            return take_label_table(current_context(), content, sender=person())
    except TableError as error:
        abort(422, str(error))


def _summary(session: Session) -> Out:
    """Days and weeks (from Monday) are those of the installation's time zone."""
    settings = current_settings()
    here = now().astimezone(ZoneInfo(settings.time_zone) if settings.time_zone else None)
    today = here.replace(hour=0, minute=0, second=0, microsecond=0)
    this_week = today - timedelta(days=today.weekday())
    return LabelSummaryOut.of(
        label_counts(session, today=today, this_week=this_week),
        new=new_label_count(session, at_most=max(NEW_COUNTED_TO, settings.night_min_labels)),
        wanted=settings.night_min_labels,
        next_night=next_due(now(), settings),
    )


def describe_table(spec: dict[str, Any]) -> dict[str, Any]:
    """APIFlask cannot see a body that is not JSON."""
    operation = spec["paths"]["/api/v1/labels/csv"]["post"]
    content = {"text/csv": {"schema": {"type": "string", "minLength": 1}}}
    operation["requestBody"] = {"content": content}
    return spec


def _hashes(session: Session, given: Sequence[GivenLabel]) -> list[str]:
    by_image = find_by_image_id(session, {one.image_id for one in given if one.image_id})
    by_hash = find_by_sha256(session, {one.sha256 for one in given if one.sha256})
    found = [
        by_image.get(one.image_id) if one.image_id is not None else one.sha256 for one in given
    ]
    for number, (one, sha256) in enumerate(zip(given, found, strict=True)):
        if sha256 is None or (one.sha256 is not None and sha256 not in by_hash):
            abort(404, f"labels[{number}]: image not found; no label was saved")
    return [sha256 for sha256 in found if sha256 is not None]


def _out(listed: ListedLabel) -> LabelOut:
    label, place = listed.label, listed.link
    return LabelOut(
        **_said(listed.said[0]).model_dump(),
        sha256=label.sha256,
        image_id=place.image_id if place else None,
        study_id=place.study_id if place else None,
        is_conflict=label.is_conflict,
        said=[_said(one) for one in listed.said],
    )


def _said(label: Label) -> SaidOut:
    return SaidOut.of(label, label=label.value, sent_by=label.user.name)
