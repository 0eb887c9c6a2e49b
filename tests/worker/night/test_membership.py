"""Members and splits over many nights, on generated histories, without a database."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from models.learning.datasets import ImportedFile
from models.learning.labelled_blobs import LabelledBlob, SiteFile
from models.learning.snapshots import SITE, Member, PastMember
from models.tables.learning import LabelValue, ValidLabel
from pipeline.types import Split
from tests.support.data.labelled import patient_of_split
from tests.support.data.rows import a_hash
from worker.night.membership import decide_members

KEY = b"an invented key"
# What is known of an image: its patient, the split of its imported set, and its label.
Image = tuple[str, Split | None, LabelValue]
PATIENTS = st.sampled_from([a_hash(f"patient {n}") for n in range(12)])
VALUES = st.sampled_from(list(LabelValue))
SETS = st.none() | st.sampled_from(list(Split))
IMAGES = st.tuples(PATIENTS, SETS, VALUES)
# Each night: some images by number, new ones or with another patient or label than before.
NIGHTS = st.lists(st.dictionaries(st.integers(0, 15), IMAGES, max_size=8), max_size=5)


def blob(
    number: int, patient: str, split: Split | None, value: LabelValue, *, named: str | None = None
) -> LabelledBlob:
    """named: the patient whom a label names."""
    label = ValidLabel(
        sha256=a_hash(f"blob {number}"), value=value, label_id=number, patient_hash=named
    )
    if split is None:
        file = SiteFile("a.png", patient, a_hash(f"study {number}"), is_dicom_study=True)
        return LabelledBlob(label, (file,), None)
    return LabelledBlob(label, (), ImportedFile("public", split, patient, None))


def fits(image: Image, before: Image | None) -> bool:
    """Readers change labels and patients; imported images keep their set and its split."""
    return before is None or image[1] == before[1]


def members(images: dict[int, Image], past: dict[str, PastMember]) -> dict[str, Member]:
    blobs = [blob(number, *image) for number, image in images.items()]
    decided = decide_members(blobs, past=past, key=KEY)
    return {one.member.sha256: one.member for one in decided}


def remember(
    past: dict[str, PastMember], found: dict[str, Member], *, is_trained: bool
) -> dict[str, PastMember]:
    """What the database knows of it in the next night."""
    new = {
        sha256: PastMember(one.split, one.origin, one.patient_hash, is_trained)
        for sha256, one in found.items()
        if is_trained or one.split == Split.TEST
    }
    return past | new | {sha256: before for sha256, before in past.items() if before.is_trained}


@settings(max_examples=60)
@given(nights=NIGHTS, learning=st.lists(st.booleans(), min_size=5, max_size=5))
def test_test_images_stay_test_images_and_are_never_trained_on(
    nights: list[dict[int, Image]], learning: list[bool]
) -> None:
    images: dict[int, Image] = {}
    past: dict[str, PastMember] = {}
    tested: set[str] = set()
    learned: set[str] = set()
    for night, is_trained in zip(nights, learning, strict=False):
        images |= {n: image for n, image in night.items() if fits(image, images.get(n))}
        found = members(images, past)
        past = remember(past, found, is_trained=is_trained)
        now = {sha256 for sha256, one in found.items() if one.split == Split.TEST}
        assert tested & found.keys() <= now
        assert not learned & now
        tested |= now
        learned |= found.keys() - now if is_trained else set()


@settings(max_examples=60)
@given(
    some=st.dictionaries(st.integers(0, 15), IMAGES),
    more=st.dictionaries(st.integers(16, 30), IMAGES),
)
def test_later_images_move_no_earlier_ones(
    some: dict[int, Image],
    more: dict[int, Image],
) -> None:
    before = members(some, {})
    for past in ({}, remember({}, before, is_trained=True)):
        assert before.items() <= members(some | more, past).items()


@settings(max_examples=60)
@given(images=st.dictionaries(st.integers(0, 30), IMAGES))
def test_site_patients_are_in_one_split_and_unusable_images_in_none(
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


def test_imported_images_keep_their_split() -> None:
    images = {n: (a_hash("anna"), split, LabelValue.NORMAL) for n, split in enumerate(Split)}
    assert [one.split for one in members(images, {}).values()] == list(Split)


def test_folder_in_place_of_a_patient_binds_only_trained_images() -> None:
    folder = a_hash("a folder")
    patient = a_hash(patient_of_split(Split.TRAIN))
    loose = SiteFile("a.png", None, folder, is_dicom_study=False)
    named = replace(blob(1, folder, None, LabelValue.NORMAL, named=patient), site=(loose,))
    sha256 = named.label.sha256
    for is_trained, expected in ((False, Split.TRAIN), (True, Split.TEST)):
        past = {sha256: PastMember(Split.TEST, SITE, folder, is_trained)}
        (one,) = decide_members([named], past=past, key=KEY)
        assert one.member.split == expected


def test_label_and_dicom_names_of_a_patient_are_one_patient() -> None:
    """DICOM may state an issuer, a table of labels does not."""
    by_dicom, by_label = a_hash("an issuer and 17"), a_hash("17")
    named = blob(1, by_dicom, None, LabelValue.NORMAL, named=by_label)
    unnamed = blob(2, by_dicom, None, LabelValue.NORMAL)
    found = decide_members([named, unnamed], past={}, key=KEY)
    assert {one.member.patient_hash for one in found} == {by_label}


def test_identifier_given_to_all_patients_joins_nobody() -> None:
    everyone = a_hash("ANONYMOUS")
    patients = [a_hash("17"), a_hash("18"), None]
    labelled = [
        blob(number, everyone, None, LabelValue.NORMAL, named=patient)
        for number, patient in enumerate(patients)
    ]
    found = decide_members(labelled, past={}, key=KEY)
    assert [one.member.patient_hash for one in found] == [*patients[:2], everyone]
