"""Who is in which split, over many nights: decided without a database, tested on any history."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from models.learning.labelled_contents import ImportedFile, LabelledContent, SiteFile
from models.learning.labels import EffectiveLabel
from models.learning.snapshots import SITE, Member, Place
from models.tables.learning import LabelValue
from pipeline.types import Split
from tests.support.data.labelled import patient_of_split
from tests.support.data.rows import a_hash
from worker.night.membership import decide_members

KEY = b"an invented key"
# What may be known of an image: its patient, the set it came with, and what a reader says of it.
Image = tuple[str, Split | None, LabelValue]
PATIENTS = st.sampled_from([a_hash(f"patient {n}") for n in range(12)])
VALUES = st.sampled_from(list(LabelValue))
SETS = st.none() | st.sampled_from(list(Split))
IMAGES = st.tuples(PATIENTS, SETS, VALUES)
# Each night: some images by number, newly come or with another patient or label than before.
NIGHTS = st.lists(st.dictionaries(st.integers(0, 15), IMAGES, max_size=8), max_size=5)


def content(number: int, patient: str, split: Split | None, value: LabelValue) -> LabelledContent:
    sha256, moment = a_hash(f"content {number}"), datetime(2030, 1, 1, tzinfo=UTC)
    label = EffectiveLabel(sha256, value, number, None, False, "rita", None, moment)
    if split is None:
        file = SiteFile("a.png", patient, a_hash(f"study {number}"), is_dicom_study=True)
        return LabelledContent(label, (file,), None)
    return LabelledContent(label, (), ImportedFile("public", split, patient, None))


def fits(image: Image, before: Image | None) -> bool:
    """Readers change labels and patients; a set's images keep their set and its split."""
    return before is None or image[1] == before[1]


def members(images: dict[int, Image], places: dict[str, Place]) -> dict[str, Member]:
    contents = [content(number, *image) for number, image in images.items()]
    decided = decide_members(contents, places=places, key=KEY)
    return {one.member.sha256: one.member for one in decided}


def remember(
    places: dict[str, Place], found: dict[str, Member], *, is_learned: bool
) -> dict[str, Place]:
    """What the database would know of it in the next night."""
    new = {
        sha256: Place(one.split, one.origin, one.patient_hash, is_learned)
        for sha256, one in found.items()
        if is_learned or one.split == Split.TEST
    }
    return places | new | {sha256: place for sha256, place in places.items() if place.is_learned}


@settings(max_examples=60)
@given(nights=NIGHTS, learning=st.lists(st.booleans(), min_size=5, max_size=5))
def test_whatever_comes_a_test_image_stays_one_and_is_never_learned_from(
    nights: list[dict[int, Image]], learning: list[bool]
) -> None:
    images: dict[int, Image] = {}
    places: dict[str, Place] = {}
    tested: set[str] = set()
    learned: set[str] = set()
    for night, is_learned in zip(nights, learning, strict=False):
        images |= {n: image for n, image in night.items() if fits(image, images.get(n))}
        found = members(images, places)
        places = remember(places, found, is_learned=is_learned)
        now = {sha256 for sha256, one in found.items() if one.split == Split.TEST}
        assert tested & found.keys() <= now
        assert not learned & now
        tested |= now
        learned |= found.keys() - now if is_learned else set()


@settings(max_examples=60)
@given(
    some=st.dictionaries(st.integers(0, 15), IMAGES),
    more=st.dictionaries(st.integers(16, 30), IMAGES),
)
def test_images_that_come_later_move_none(
    some: dict[int, Image],
    more: dict[int, Image],
) -> None:
    before = members(some, {})
    for places in ({}, remember({}, before, is_learned=True)):
        assert before.items() <= members(some | more, places).items()


@settings(max_examples=60)
@given(images=st.dictionaries(st.integers(0, 30), IMAGES))
def test_a_site_s_patient_is_in_one_split_and_unusable_images_in_none(
    images: dict[int, Image],
) -> None:
    found = members(images, {}).values()
    of_patient: dict[str, set[Split]] = {}
    for one in found:
        if one.origin == SITE:
            of_patient.setdefault(one.patient_hash, set()).add(one.split)
    assert all(len(splits) == 1 for splits in of_patient.values())
    usable = [value for _, _, value in images.values() if value != LabelValue.UNUSABLE]
    assert len(found) == len(usable)


def test_what_came_with_a_set_keeps_its_split() -> None:
    images = {n: (a_hash("anna"), split, LabelValue.NORMAL) for n, split in enumerate(Split)}
    assert [one.split for one in members(images, {}).values()] == list(Split)


def test_a_folder_that_stood_for_a_patient_binds_nobody_once_they_are_named() -> None:
    """Unless a network has learned from it."""
    folder = a_hash("a folder")
    unnamed = content(1, folder, None, LabelValue.NORMAL)
    loose = SiteFile("a.png", None, folder, is_dicom_study=False)
    named = LabelledContent(
        replace(unnamed.label, patient_hash=a_hash(patient_of_split(Split.TRAIN))), (loose,), None
    )
    sha256 = named.label.sha256
    for is_learned, expected in ((False, Split.TRAIN), (True, Split.TEST)):
        places = {sha256: Place(Split.TEST, SITE, folder, is_learned)}
        (one,) = decide_members([named], places=places, key=KEY)
        assert one.member.split == expected


def test_a_patient_whom_labels_name_otherwise_than_dicom_is_one_patient() -> None:
    """DICOM may state an issuer, which a table of labels does not."""
    by_dicom, by_label = a_hash("an issuer and 17"), a_hash("17")
    named, unnamed = (content(n, by_dicom, None, LabelValue.NORMAL) for n in (1, 2))
    named = replace(named, label=replace(named.label, patient_hash=by_label))
    found = decide_members([named, unnamed], places={}, key=KEY)
    assert {one.member.patient_hash for one in found} == {by_label}


def test_an_identifier_that_an_archive_gave_to_all_joins_nobody() -> None:
    everyone = a_hash("ANONYMOUS")
    films = [content(n, everyone, None, LabelValue.NORMAL) for n in range(3)]
    patients = [a_hash("17"), a_hash("18"), None]
    labelled = [
        replace(film, label=replace(film.label, patient_hash=patient))
        for film, patient in zip(films, patients, strict=True)
    ]
    found = decide_members(labelled, places={}, key=KEY)
    assert [one.member.patient_hash for one in found] == [*patients[:2], everyone]
