"""Snapshots: members, report, repetition and concurrent labels."""

import hashlib
import random
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, func, select

from models.context import AppContext
from models.files.damage import Damage, list_damage
from models.learning.labelled_blobs import labelled_blobs, use_repeatable_read
from models.learning.labels import valid_labels
from models.learning.snapshots import (
    LEARNABLE,
    LEFT_OUT,
    SITE,
    last_trained_snapshot,
    new_label_count,
    snapshot_images,
    snapshot_lines,
)
from models.query import update_rows
from models.tables.intake import Image, State
from models.tables.learning import DatasetSnapshot, Night, SnapshotImage
from models.tables.people import Role
from pipeline.pseudonym import patient_pseudonym
from pipeline.training.data.splits import assign_split
from pipeline.types import PREPROCESSING, Split
from tests.support.data.damage import flip_a_bit
from tests.support.data.labelled import NORMAL, PNEUMONIA, UNUSABLE, Archive, patient_of_split
from tests.support.data.rows import a_hash, a_version
from tests.support.servers.databases import both_databases
from worker.night.inputs import MissingInputError
from worker.night.snapshot import take_snapshot

TRAIN, VALIDATION, TEST = Split.TRAIN, Split.VALIDATION, Split.TEST


@pytest.fixture
def archive(context: AppContext) -> Archive:
    return Archive(context)


def images(context: AppContext, snapshot: DatasetSnapshot) -> dict[str, SnapshotImage]:
    with context.sessions() as session:
        return {image.sha256: image for image in snapshot_images(session, snapshot.id)}


def columns(context: AppContext, snapshot: DatasetSnapshot) -> dict[str, dict[str, Any]]:
    return {
        sha256: vars(image) | {"_sa_instance_state": 0}
        for sha256, image in images(context, snapshot).items()
    }


def new_labels(context: AppContext, *, at_most: int | None = None) -> int:
    with context.sessions() as session:
        return new_label_count(session, at_most=at_most)


def learn_from(context: AppContext, snapshot: DatasetSnapshot) -> None:
    """A night that trained a candidate from it."""
    with context.sessions.begin() as session:
        version = a_version(session, name=f"night-{snapshot.id}", is_live=False)
        night = Night(snapshot_id=snapshot.id, candidate_id=version.id)
        session.add(night)
        session.flush()
        night.is_open = None  # at once it would be taken for not given


def test_snapshot_members_and_report(context: AppContext, archive: Archive) -> None:
    of_site = archive.site_image(value=PNEUMONIA, patient="anna")
    archive.site_image(value=UNUSABLE)
    archive.site_image(value=None)
    context.store.discard_network_input(archive.site_image(), PREPROCESSING)
    of_set, _ = archive.imported_set("public", [(TEST, "berta", NORMAL), (TRAIN, "carl", NORMAL)])
    snapshot = take_snapshot(context)

    found = images(context, snapshot)
    assert len(found) == 3
    site, public = found[of_site], found[of_set]
    assert (site.label, site.origin, site.patient_hash) == (PNEUMONIA, SITE, a_hash("anna"))
    assert site.split == assign_split(a_hash("anna"))
    assert (public.label, public.origin, public.split) == (NORMAL, "public", TEST)
    with context.sessions() as session:
        assert site.label_id == valid_labels(session)[of_site].label_id
    counts = [snapshot.report[name] for name in ("images", "unusable", "without_input")]
    assert counts == [3, 1, 1]
    assert snapshot.report["origins"]["public"]["test"] == {"normal": 1, "patients": 1}


def test_snapshot_is_new_only_after_a_change(context: AppContext, archive: Archive) -> None:
    empty = take_snapshot(context)
    assert images(context, empty) == {}
    assert take_snapshot(context).id == empty.id
    first_image = archive.site_image(value=PNEUMONIA)
    archive.imported_set("public", [(TRAIN, "anna", NORMAL)])
    first, again = take_snapshot(context), take_snapshot(context)
    assert (first.id, first.digest) == (again.id, again.digest)

    archive.label(first_image, NORMAL)
    corrected = take_snapshot(context)
    assert corrected.digest != first.digest
    archive.site_image()
    assert take_snapshot(context).digest not in (first.digest, corrected.digest)
    archive.site_image(value=None)
    with context.sessions() as session:
        assert session.scalar(select(func.count()).select_from(DatasetSnapshot)) == 4


def test_old_snapshot_stays_readable(context: AppContext, archive: Archive) -> None:
    some = [archive.site_image(value=value) for value in (PNEUMONIA, NORMAL, NORMAL)]
    snapshot = take_snapshot(context)
    before = columns(context, snapshot)
    archive.label(some[0], NORMAL, reader="another", role=Role.ADMIN)
    archive.label(some[1], UNUSABLE)
    archive.site_image()
    take_snapshot(context)

    assert columns(context, snapshot) == before
    with context.sessions() as session:
        kept = session.get_one(DatasetSnapshot, snapshot.id)
        lines = "".join(snapshot_lines(snapshot_images(session, kept.id)))
    assert hashlib.sha256(lines.encode()).hexdigest() == kept.digest


def test_test_image_stays_one_when_its_patient_is_renamed(
    context: AppContext, archive: Archive
) -> None:
    tested = archive.site_image(patient=patient_of_split(TEST))
    learned = archive.site_image(patient=patient_of_split(TRAIN))
    learn_from(context, take_snapshot(context))
    archive.label(tested, NORMAL, patient_hash=a_hash(patient_of_split(TRAIN, number=1)))
    archive.label(learned, NORMAL, patient_hash=a_hash(patient_of_split(TEST, number=1)))
    beside_learned = archive.site_image(patient=patient_of_split(TEST, number=1))
    found = images(context, take_snapshot(context))
    assert found[tested].split == TEST
    assert found[learned].split == TRAIN, "production may have learned from it"
    assert found[beside_learned].split == TRAIN, "and from its patient"


def test_unusable_test_image_returns_to_the_test_split(
    context: AppContext, archive: Archive
) -> None:
    tested = archive.site_image(patient=patient_of_split(TEST))
    take_snapshot(context)
    archive.label(tested, UNUSABLE)
    without = take_snapshot(context)
    assert tested not in images(context, without)
    assert without.report["left_test"] == 1
    archive.label(tested, NORMAL, patient_hash=a_hash(patient_of_split(TRAIN)))
    again = take_snapshot(context)
    assert images(context, again)[tested].split == TEST
    assert again.report["left_test"] == 0


def test_patient_is_taken_from_the_best_source(context: AppContext, archive: Archive) -> None:
    key = context.secrets.identity_key
    by_label = archive.site_image(patient="dicom")
    archive.label(by_label, NORMAL, patient_hash=a_hash("table"))
    public_name: dict[str, Any] = {"patient": None, "folder": "f", "file": "f/person7_virus_1.png"}
    by_name = archive.site_image(**public_name)
    loose = [
        archive.site_image(patient=None, study="s", folder="g", file=f"g/{n}.png") for n in "ab"
    ]
    found = images(context, take_snapshot(context))
    assert found[by_label].patient_hash == a_hash("table")
    assert found[by_name].patient_hash == patient_pseudonym(key, "person7")
    assert {found[sha256].patient_hash for sha256 in loose} == {a_hash("s")}


def test_leaks_are_excluded_and_counted(context: AppContext, archive: Archive) -> None:
    pixels = np.random.default_rng(5).integers(0, 200, (224, 224), np.uint8)
    learned = patient_of_split(TRAIN)
    archive.imported_set("public", [(TEST, learned, NORMAL)])
    same_patient = archive.site_image(patient=learned)
    archive.site_image(patient=patient_of_split(TEST), study="one", pixels=pixels)
    (same_study,) = archive.imported_set(
        "other", [(TRAIN, "anna", NORMAL)], study_hash=a_hash("one")
    )
    same_pixels = archive.site_image(patient=patient_of_split(TRAIN, number=2), pixels=pixels)
    near = archive.site_image(
        patient=patient_of_split(VALIDATION), pixels=(pixels * 0.9 + 5).astype(np.uint8)
    )
    harmless = archive.site_image(patient=patient_of_split(TRAIN, number=3))
    snapshot = take_snapshot(context)

    found = images(context, snapshot)
    assert harmless in found
    assert len(found) == 3
    assert not {same_patient, same_study, same_pixels, near} & found.keys()
    counts = {kind: one["images"] for kind, one in snapshot.report["leaks"]["kinds"].items()}
    assert counts == {"patient": 1, "study": 1, "pixels": 1, "near": 1}
    assert snapshot.report["leaks"]["images"] == 4


def test_damaged_network_input_is_noted(context: AppContext, archive: Archive) -> None:
    sha256 = archive.site_image()
    flip_a_bit(context.store.paths("inputs", sha256)[0])
    with pytest.raises(MissingInputError):
        take_snapshot(context)
    with context.sessions() as session:
        assert list_damage(session) == [Damage("inputs", sha256)]


def test_labels_are_new_until_a_candidate_was_trained_on_them(
    context: AppContext, archive: Archive
) -> None:
    learned = patient_of_split(TRAIN)
    archive.imported_set("public", [(TEST, learned, NORMAL), (TRAIN, "anna", NORMAL)])
    first = archive.site_image()
    archive.site_image(patient=learned)  # a leak: seen, and not learned from
    archive.site_image(value=UNUSABLE)
    archive.site_image(value=None)
    assert new_labels(context) == 2
    snapshot = take_snapshot(context)
    assert new_labels(context) == 2, "taking a snapshot is not learning"
    learn_from(context, snapshot)
    assert new_labels(context) == 0
    archive.label(first, PNEUMONIA)
    archive.site_image()
    assert new_labels(context) == 2
    with context.sessions() as session:
        last = last_trained_snapshot(session)
    assert last is not None
    assert last.id == snapshot.id


def test_label_is_new_whenever_its_file_is_read(context: AppContext, archive: Archive) -> None:
    late = archive.site_image()
    _set_read(context, late, is_read=False)
    archive.site_image()
    snapshot = take_snapshot(context)
    learn_from(context, snapshot)
    assert (snapshot.report["images"], new_labels(context)) == (1, 0)
    _set_read(context, late, is_read=True)
    assert new_labels(context) == 1
    learn_from(context, take_snapshot(context))
    assert new_labels(context) == 0


def test_earlier_label_that_counts_again_is_new(context: AppContext, archive: Archive) -> None:
    """Its reader's was not valid while the other one, an admin then, was overruling it."""
    image = archive.site_image()
    archive.label(image, PNEUMONIA, reader="olga", role=Role.ADMIN)
    learn_from(context, take_snapshot(context))
    assert new_labels(context) == 0
    archive.label(image, UNUSABLE, reader="olga", role=Role.VIEWER)
    assert new_labels(context) == 1


def test_new_labels_after_a_training_of_an_earlier_release(
    context: AppContext, archive: Archive
) -> None:
    """Its snapshot does not say which label was the last."""
    archive.site_image()
    archive.site_image(value=UNUSABLE)
    snapshot = take_snapshot(context)
    learn_from(context, snapshot)
    with context.sessions.begin() as session:
        report = session.get_one(DatasetSnapshot, snapshot.id).report
        kept = {LEFT_OUT: report[LEFT_OUT]}
        session.get_one(DatasetSnapshot, snapshot.id).report = kept
    assert new_labels(context) == 0
    archive.site_image()
    assert new_labels(context) == 1


@both_databases
def test_new_labels_are_those_that_a_full_count_finds(
    context: AppContext, archive: Archive
) -> None:
    chance = random.Random(11)
    images = [archive.site_image(value=None) for _ in range(12)]
    values, roles = (PNEUMONIA, NORMAL, UNUSABLE), (Role.VIEWER, Role.READER, Role.ADMIN)
    counts = set()
    for step in range(60):
        sha256, reader = chance.choice(images), chance.choice(["rita", "olga"])
        archive.label(sha256, chance.choice(values), reader=reader, role=chance.choice(roles))
        _set_read(context, chance.choice(images), is_read=chance.random() < 0.7)
        if step % 20 == 9:
            learn_from(context, take_snapshot(context))
        counts.add(new_labels(context))
        assert new_labels(context) == _count_in_full(context)
        assert new_labels(context, at_most=3) == min(new_labels(context), 3)
    assert len(counts) > 4


def _set_read(context: AppContext, sha256: str, *, is_read: bool) -> None:
    """As a worker leaves an image, or before one has read it."""
    stored, state = (a_hash("stored"), State.PREDICTED) if is_read else (None, State.RECEIVED)
    with context.sessions.begin() as session:
        update_rows(session, Image, Image.sha256 == sha256, stored_sha256=stored, state=state)


def _count_in_full(context: AppContext) -> int:
    with context.sessions() as session:
        last = last_trained_snapshot(session)
        members = snapshot_images(session, last.id) if last else []
        seen = {member.label_id for member in members}
        seen.update(last.report[LEFT_OUT] if last else [])
        return sum(
            blob.label.value in LEARNABLE and not blob.imported and blob.label.label_id not in seen
            for blob in labelled_blobs(session)
            if blob.site
        )


@both_databases
def test_repeatable_read_is_consistent(context: AppContext, archive: Archive) -> None:
    archive.site_image()
    late = archive.site_image(value=None)
    with context.sessions() as session:
        use_repeatable_read(session)
        before = labelled_blobs(session)
        archive.label(late, NORMAL)
        assert labelled_blobs(session) == before
    with context.sessions() as session:
        assert len(labelled_blobs(session)) == len(before) + 1


@both_databases
def test_concurrent_label_is_in_the_snapshot_or_new(context: AppContext, archive: Archive) -> None:
    """It comes while the snapshot reads: after the labels were read, before the files are."""
    early = [archive.site_image(value=PNEUMONIA) for _ in range(3)]
    late = archive.site_image(value=None)
    is_added = False

    def add(connection: object, cursor: object, statement: str, *_: object) -> None:
        nonlocal is_added
        if "FROM image JOIN study" in statement and not is_added:
            is_added = True
            archive.label(late, NORMAL)
            archive.label(early[0], NORMAL)

    engine = context.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", add)
    try:
        snapshot = take_snapshot(context)
    finally:
        event.remove(engine, "before_cursor_execute", add)
    learn_from(context, snapshot)

    assert is_added
    found = images(context, snapshot)
    assert found.keys() == set(early)
    assert found[early[0]].label == PNEUMONIA
    assert new_labels(context) == 2
    then = images(context, take_snapshot(context))
    assert (then[late].label, then[early[0]].label) == (NORMAL, NORMAL)
