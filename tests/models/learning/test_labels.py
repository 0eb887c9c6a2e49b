"""Labels: the valid one, conflicts, repetition, lists and lookup."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.base import now
from models.intake.study_links import StudyLink
from models.learning.label_lists import OriginCounts, ReaderCounts, label_counts, list_labels
from models.learning.labels import (
    NewLabel,
    add_labels,
    compute_valid,
    find_by_file,
    find_by_image_id,
    find_by_sha256,
    find_by_sop_uid,
    latest_labels,
    valid_labels,
)
from models.query import count_rows
from models.reading.studies import NewStudy, get_or_create_studies
from models.tables.learning import Label, LabelValue, Source, ValidLabel
from models.tables.people import Role
from tests.support.data.counts import check_counts
from tests.support.data.labelled import a_dataset, labels_of
from tests.support.data.rows import a_hash, a_job, a_user, an_image
from tests.support.servers.databases import Database, both_databases

PNEUMONIA, NORMAL, UNUSABLE = LabelValue
START = now() - timedelta(days=1)
SHA256 = a_hash("an image")


def a_label(session: Session, value: LabelValue = PNEUMONIA, **further: Any) -> NewLabel:
    """minute: when the reader judged, counted from START; by default now."""
    given: dict[str, Any] = {"sha256": SHA256, "reader": "rita", "role": Role.READER}
    if "minute" in further:
        given["read_at"] = START + timedelta(minutes=further.pop("minute"))
    given |= {"source": Source.PORTAL, "user_id": a_user(session).id}
    return NewLabel(**given | {"value": value} | further)


def test_latest_label_of_a_reader_is_valid(session: Session) -> None:
    assert add_labels(session, [a_label(session, NORMAL)]) == 1
    assert add_labels(session, [a_label(session, PNEUMONIA)]) == 1
    label = valid_labels(session)[SHA256]
    assert (label.value, label.reader, label.role) == (PNEUMONIA, "rita", Role.READER)
    assert not label.is_conflict, "she changed her mind"
    assert [said.value for said in labels_of(session, SHA256)] == [PNEUMONIA, NORMAL]


def test_correction_is_valid_after_the_clock_was_set_back(session: Session) -> None:
    a_day_ahead = 2 * 24 * 60
    add_labels(session, [a_label(session, NORMAL, minute=a_day_ahead)])
    assert add_labels(session, [a_label(session, PNEUMONIA)]) == 1
    assert valid_labels(session)[SHA256].value == PNEUMONIA
    assert add_labels(session, [a_label(session, PNEUMONIA)]) == 0, "it is her latest"
    assert add_labels(session, [a_label(session, NORMAL, reader="rolf")]) == 1
    label = valid_labels(session)[SHA256]
    assert (label.value, label.reader) == (NORMAL, "rolf"), "he saw hers"
    assert labels_of(session, SHA256)[0].reader == "rolf"


def test_higher_role_overrules_a_later_label(session: Session) -> None:
    add_labels(
        session,
        [
            a_label(session, NORMAL, reader="adam", role=Role.ADMIN, minute=1),
            a_label(session, PNEUMONIA, reader="olga", role=Role.OPERATOR, minute=2),
            a_label(session, PNEUMONIA, minute=3),
        ],
    )
    label = valid_labels(session)[SHA256]
    assert (label.value, label.reader, label.is_conflict) == (NORMAL, "adam", True)
    said = latest_labels(session, [SHA256])[SHA256]
    assert [(row.reader, row.value) for row in said] == [
        ("adam", NORMAL),
        ("olga", PNEUMONIA),
        ("rita", PNEUMONIA),
    ]


def test_later_label_of_equal_roles_is_valid_and_agreement_ends_the_conflict(
    session: Session,
) -> None:
    add_labels(session, [a_label(session, NORMAL, minute=1)])
    add_labels(session, [a_label(session, UNUSABLE, reader="rolf", minute=2)])
    label = valid_labels(session)[SHA256]
    assert (label.value, label.is_conflict) == (UNUSABLE, True)
    add_labels(session, [a_label(session, UNUSABLE, minute=3)])
    label = valid_labels(session)[SHA256]
    assert (label.value, label.reader, label.is_conflict) == (UNUSABLE, "rita", False)


def test_readers_overrule_imported_labels_without_conflict(session: Session) -> None:
    imported = {"reader": "a set", "role": None, "source": Source.DATASET}
    add_labels(session, [a_label(session, NORMAL, minute=5, **imported)])
    assert valid_labels(session)[SHA256].value == NORMAL
    add_labels(session, [a_label(session, PNEUMONIA, role=Role.VIEWER, minute=1)])
    label = valid_labels(session)[SHA256]
    assert (label.value, label.is_conflict) == (PNEUMONIA, False)


def test_repeated_label_adds_nothing(session: Session) -> None:
    rows = [
        a_label(session, NORMAL, minute=1),
        a_label(session, PNEUMONIA, minute=2),
        a_label(session, NORMAL, reader="rolf", minute=3),
    ]
    assert add_labels(session, rows) == 3
    assert add_labels(session, rows) == 0, "a table that is sent again"
    assert add_labels(session, [a_label(session, PNEUMONIA)] * 2) == 0
    assert add_labels(session, [a_label(session, NORMAL)] * 2) == 1
    assert count_rows(session, Label) == 4


def test_label_with_more_information_is_added(session: Session) -> None:
    add_labels(session, [a_label(session)])
    assert add_labels(session, [a_label(session, patient_hash="p1")]) == 1
    assert add_labels(session, [a_label(session, patient_hash="p1")]) == 0
    assert add_labels(session, [a_label(session)]) == 0, "it names no other patient"
    assert add_labels(session, [a_label(session, role=Role.OPERATOR)]) == 1
    assert add_labels(session, [a_label(session, role=Role.VIEWER)]) == 0


def test_insisting_adds_a_label_once(session: Session) -> None:
    add_labels(session, [a_label(session, NORMAL, minute=1)])
    add_labels(session, [a_label(session, PNEUMONIA, reader="rolf", minute=2)])
    assert add_labels(session, [a_label(session, NORMAL)]) == 0
    assert valid_labels(session)[SHA256].reader == "rolf"
    assert add_labels(session, [a_label(session, NORMAL)], insist=True) == 1
    assert valid_labels(session)[SHA256].reader == "rita"
    assert add_labels(session, [a_label(session, NORMAL)], insist=True) == 0


@both_databases
def test_latest_named_patient_is_valid(session: Session) -> None:
    add_labels(session, [a_label(session, reader="x", patient_hash="old", minute=1)])
    add_labels(session, [a_label(session, reader="x", patient_hash="new", minute=2)])
    add_labels(session, [a_label(session, role=Role.ADMIN, minute=3)])
    label = valid_labels(session)[SHA256]
    assert (label.reader, label.patient_hash) == ("rita", "new")


@both_databases
def test_label_rows_are_never_changed(session: Session) -> None:
    def rows(session: Session) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in session.execute(select(Label.__table__).order_by("id"))]

    add_labels(session, [a_label(session, NORMAL), a_label(session, reader="rolf")])
    before = rows(session)
    add_labels(session, [a_label(session, UNUSABLE), a_label(session, NORMAL, reader="rolf")])
    assert rows(session)[:2] == before
    assert count_rows(session, Label) == 4


@both_databases
def test_same_label_added_twice_at_once_is_one_row(database: Database) -> None:
    with database.sessions.begin() as session:
        label = a_label(session)

    def add() -> int:
        with database.sessions.begin() as session:
            return add_labels(session, [label])

    with ThreadPoolExecutor(4) as threads:
        added = [done.result() for done in [threads.submit(add) for _ in range(8)]]
    assert sorted(added) == [0] * 7 + [1]


def test_add_labels_of_more_blobs_than_one_query_names(session: Session) -> None:
    hashes = [a_hash(str(number)) for number in range(600)]
    rows = [a_label(session, sha256=sha256, minute=1) for sha256 in hashes]
    assert add_labels(session, rows) == 600
    assert add_labels(session, rows) == 0
    assert len(valid_labels(session)) == 600


@both_databases
def test_list_labels_and_label_counts(session: Session) -> None:
    hashes = [{"sha256": a_hash(name)} for name in ("imported", "both")]
    imported = a_dataset(session, "a set", *hashes).id
    image = an_image(session, a_job(session), content="an image")
    study = get_or_create_studies(session, [NewStudy(a_hash("s"), None, "ward 3")])
    image.study_id = study[a_hash("s")]
    came = {"role": None, "source": Source.DATASET, "reader": "a set", "dataset_id": imported}
    add_labels(
        session,
        [
            a_label(session, NORMAL, sha256=a_hash("imported"), **came),
            a_label(session, NORMAL, sha256=a_hash("both"), **came),
            a_label(session, UNUSABLE, sha256=a_hash("both")),
            a_label(session, NORMAL, minute=1),
            a_label(session, PNEUMONIA, reader="adam", role=Role.ADMIN, minute=2),
        ],
    )
    soon = now() + timedelta(hours=1)
    counts = label_counts(session, today=soon, this_week=START)
    assert counts.origins == [
        OriginCounts("site", pneumonia=1, normal=0, unusable=0),
        OriginCounts("a set", pneumonia=0, normal=1, unusable=1),
    ]
    assert (counts.conflicts, counts.today, counts.this_week) == (1, 0, 3)
    assert [(one.reader, one.labels) for one in counts.readers] == [("rita", 2), ("adam", 1)]
    pages = [list_labels(session, page=page, page_size=2) for page in (1, 2)]
    assert [page.total for page in pages] == [3, 3]
    assert [one.label.sha256 for page in pages for one in page.items] == [
        SHA256,
        a_hash("both"),
        a_hash("imported"),
    ]
    assert [page.next_after for page in pages] == [pages[0].items[1].label.label_id, None]
    following = list_labels(session, after=pages[0].next_after, page_size=2)
    assert following.items == pages[1].items
    conflicts = list_labels(session, only_conflicts=True)
    (conflict,) = conflicts.items
    assert conflicts.total == 1
    assert [label.reader for label in conflict.said] == ["adam", "rita"]
    assert conflict.link == StudyLink(image.id, image.study_id or 0, "ward 3")
    assert pages[0].items[1].link is None
    assert list_labels(session, page=9).items == []


@both_databases
def test_readers_are_counted_over_portal_and_csv(session: Session) -> None:
    by_csv = {"source": Source.CSV, "sha256": a_hash("by CSV")}
    labels = [
        a_label(session, NORMAL, reader="zoe", minute=1),
        a_label(session, NORMAL, reader="adam", minute=9),
        a_label(session, NORMAL, reader="rita", minute=5),
        a_label(session, NORMAL, reader="rita", minute=3, **by_csv),
        a_label(session, NORMAL, reader="zoe", minute=7, **by_csv),
    ]
    add_labels(session, labels)
    counts = label_counts(session, today=START, this_week=START).readers
    assert counts == [
        ReaderCounts("rita", 2, START + timedelta(minutes=5)),
        ReaderCounts("zoe", 2, START + timedelta(minutes=7)),
        ReaderCounts("adam", 1, START + timedelta(minutes=9)),
    ]


@both_databases
def test_valid_labels_are_kept_as_they_are_computed_from_all(session: Session) -> None:
    computed = compute_valid()
    chance = random.Random(7)
    a_dataset(session, "a set", {"sha256": a_hash("3")})
    for _ in range(40):
        rows = [
            a_label(
                session,
                chance.choice(list(LabelValue)),
                sha256=a_hash(str(chance.randrange(6))),
                reader=chance.choice(["rita", "rolf", "adam"]),
                role=chance.choice([None, *Role]),
                minute=chance.randrange(20),
                patient_hash=chance.choice([None, "p", "q"]),
            )
            for _ in range(chance.randrange(1, 3))
        ]
        add_labels(session, rows, insist=chance.random() < 0.5)
        kept = select(*(getattr(ValidLabel, column.key) for column in computed.selected_columns))
        assert set(session.execute(kept)) == set(session.execute(computed))
    check_counts(session)


def test_blobs_are_found_by_hash_image_sop_uid_and_file(session: Session) -> None:
    job = a_job(session)
    one = an_image(session, job, file="up/ward 3/one.png")
    whole = an_image(session, job, file="one.png")
    an_image(session, a_job(session), file="zip/up/ward 3/one.png", content="another")
    refused = an_image(session, job, file="huge.dcm")
    refused.sha256 = ""
    one.sop_instance_uid = "2.25.1"
    a_dataset(session, "set", {"sha256": a_hash("set"), "file": "test/NORMAL/two.jpeg"})
    files = ["one.png", "ward 3/one.png", "up/ward 3/one.png", "NORMAL/two.jpeg", "e.png"]
    assert find_by_file(session, files) == {
        "one.png": {whole.sha256},  # a whole path, though others end so
        "ward 3/one.png": {one.sha256, a_hash("another")},
        "up/ward 3/one.png": {one.sha256},
        "NORMAL/two.jpeg": {a_hash("set")},
    }
    assert find_by_file(session, ["huge.dcm", "HUGE"]) == {}
    assert find_by_file(session, []) == {}
    wanted = {one.sha256, a_hash("set"), a_hash("unknown")}
    assert find_by_sha256(session, wanted) == {
        one.sha256: {one.sha256},
        a_hash("set"): {a_hash("set")},
    }
    assert find_by_sop_uid(session, {"2.25.1", "2.25.2"}) == {"2.25.1": {one.sha256}}
    ids = {one.id, refused.id, 999}
    assert find_by_image_id(session, ids) == {one.id: one.sha256}
