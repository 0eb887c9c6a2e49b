"""Who is in which split, over many nights: decided without a database, tested on any history."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from models.labelled_contents import ImportedFile, LabelledContent, SiteFile
from models.labels import EffectiveLabel
from models.learning_tables import LabelValue, Split
from models.snapshots import SITE, Member, Place
from tests.rows import a_hash
from worker.membership import decide_members

KEY = b"an invented key"
# What may be known of an image: its patient, the set it came with, and what a reader says of it.
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


def members(
    images: dict[int, tuple[str, Split | None, LabelValue]], places: dict[str, Place]
) -> dict[str, Member]:
    contents = [content(number, *image) for number, image in images.items()]
    decided = decide_members(contents, places=places, key=KEY)
    return {one.member.sha256: one.member for one in decided}


def remember(places: dict[str, Place], found: dict[str, Member]) -> dict[str, Place]:
    new = {sha256: Place(one.split, one.origin) for sha256, one in found.items()}
    tested = {sha256: place for sha256, place in places.items() if place.split == Split.TEST}
    return places | new | tested


@settings(max_examples=60)
@given(nights=NIGHTS)
def test_whatever_comes_a_test_image_stays_one(
    nights: list[dict[int, tuple[str, Split | None, LabelValue]]],
) -> None:
    images: dict[int, tuple[str, Split | None, LabelValue]] = {}
    places: dict[str, Place] = {}
    tested: set[str] = set()
    for night in nights:
        images |= night
        found = members(images, places)
        places = remember(places, found)
        now = {sha256 for sha256, one in found.items() if one.split == Split.TEST}
        assert tested & found.keys() <= now
        tested |= now


@settings(max_examples=60)
@given(
    some=st.dictionaries(st.integers(0, 15), IMAGES),
    more=st.dictionaries(st.integers(16, 30), IMAGES),
)
def test_images_that_come_later_move_none(
    some: dict[int, tuple[str, Split | None, LabelValue]],
    more: dict[int, tuple[str, Split | None, LabelValue]],
) -> None:
    before = members(some, {})
    for places in ({}, remember({}, before)):
        assert before.items() <= members(some | more, places).items()


@settings(max_examples=60)
@given(images=st.dictionaries(st.integers(0, 30), IMAGES))
def test_a_site_s_patient_is_in_one_split_and_unusable_images_in_none(
    images: dict[int, tuple[str, Split | None, LabelValue]],
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
