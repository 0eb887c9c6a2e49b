"""What tags say of an image: whether it is a frontal chest radiograph, and what readers must know.

An attribute or code that names another view or part refuses the image, also where another one
contradicts it; orientation and free text do so where nothing else is stated. Missing and unknown
words do not: the image itself is judged later, by its unfamiliarity. Refusals and warnings repeat
known words only, since any other may be a name. Pixels are not cleaned of text.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

from pipeline.dicom.attributes import code, label, term, text
from pipeline.dicom.stated import (
    Stated,
    stated_regions,
    stated_views,
    suggested_part,
    suggested_view,
)
from pipeline.dicom.vocabulary.body_parts import CHEST, COMBINED, is_usual_chest, part_of
from pipeline.dicom.vocabulary.terms import CONVERTED, MODALITIES, RADIOGRAPHY, UNSTATED
from pipeline.dicom.vocabulary.views import NEUTRAL, VIEW_WORDS, View, view_words
from pipeline.dicom.vocabulary.words import known_words
from pipeline.errors import not_frontal_chest
from pipeline.types import NO_LOCAL_TERMS, LocalTerms

_UNKNOWN = "not a term of the standard"

TEXT: Final = "its tags state burned-in text, which may name the patient"
FACE: Final = "its tags state recognisable visual features"
HINT: Final = "a digitised film or a screen capture: text may be burned in"
RAW: Final = "an image FOR PROCESSING: unprocessed values of the detector"
SYNTHETIC: Final = "a synthetic image by Synthetic Data (0008,001C): it may show no patient"
TEST_IMAGE: Final = "Quality Control Image (0028,0300) is {}: it may show no patient"

_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"  # PS3.4 B.5, prefix of the multi-frame ones


@dataclass
class TagReading:
    """warnings: plain sentences. unknown_terms: code strings by keyword; they may be names."""

    warnings: list[str] = field(default_factory=list)
    unknown_terms: dict[str, str] = field(default_factory=dict)

    def warn(self, keyword: str, clause: str) -> None:
        warning = f"{label(keyword)} {clause}"
        if warning not in self.warnings:  # of several items of a sequence
            self.warnings.append(warning)

    def note_unknown(self, dataset: Dataset, keyword: str) -> None:
        """Several values, and text that is no code string, are not noted."""
        named = code(dataset, keyword)
        if named and "\\" not in named:
            self.unknown_terms[keyword] = named


def read_tags(dataset: Dataset, local_terms: LocalTerms = NO_LOCAL_TERMS) -> TagReading:
    """Raise RefusedError if the tags contradict a frontal chest radiograph."""
    reading = TagReading()
    _check_modality(dataset)
    _check_part(_parts(dataset, local_terms, reading), reading)
    _check_view(_views(dataset, local_terms, reading))
    is_raw = text(dataset, "SOPClassUID") == DigitalXRayImageStorageForProcessing
    if is_raw or term(dataset, "PresentationIntentType") == "FOR PROCESSING":
        reading.warnings.append(RAW)
    if (quality := term(dataset, "QualityControlImage")) in ("YES", "BOTH"):  # PS3.3 C.8.1.1
        reading.warnings.append(TEST_IMAGE.format(quality))
    if term(dataset, "SyntheticData") == "YES":  # PS3.3 C.12.1
        reading.warnings.append(SYNTHETIC)
    return reading


def _check_modality(dataset: Dataset) -> None:
    modality = code(dataset, "Modality")
    is_chest = part_of(code(dataset, "BodyPartExamined")) in (CHEST, COMBINED)
    if modality and modality not in RADIOGRAPHY and not (modality in CONVERTED and is_chest):
        raise not_frontal_chest(
            "not a chest radiograph: Modality (0008,0060) is "
            f"{modality if modality in MODALITIES else _UNKNOWN}, expected CR, DX, RG, RF or none"
        )


def _parts(dataset: Dataset, local_terms: LocalTerms, reading: TagReading) -> list[Stated]:
    keyword = "BodyPartExamined"
    value, is_chest = text(dataset, keyword), _local(dataset, keyword, local_terms)
    part = CHEST if is_chest else part_of(value)
    stated = [Stated(keyword, part, part)] if part else []
    is_stated = value.upper() not in UNSTATED
    if is_stated and not part:
        reading.warn(keyword, "is not a known term; judged by the image")
    elif part == CHEST and not (is_chest or is_usual_chest(value)):
        reading.warn(keyword, "is a local word for the chest")
    if reading.warnings:
        reading.note_unknown(dataset, keyword)
    stated += stated_regions(dataset)
    return stated if stated or is_stated else suggested_part(dataset)


def _check_part(stated: list[Stated], reading: TagReading) -> None:
    for one in stated:
        if not one.meaning:
            reading.warn(one.keyword, "has no known code; judged by the image")
        elif one.meaning == COMBINED:
            reading.warn(one.keyword, "names more than the chest")
        elif one.meaning != CHEST:
            though = _though(stated, (CHEST, COMBINED))
            raise not_frontal_chest(
                f"not a chest radiograph: {one}{though}, expected CHEST or none"
            )


def _views(dataset: Dataset, local_terms: LocalTerms, reading: TagReading) -> list[Stated]:
    keyword = "ViewPosition"
    value = text(dataset, keyword)
    stated = [Stated(keyword, VIEW_WORDS[word], word) for word in view_words(value)]
    if _local(dataset, keyword, local_terms):
        stated = [Stated(keyword, View.FRONTAL, View.FRONTAL)]
    elif not stated and value.upper() not in UNSTATED and not _is_neutral(value):
        reading.warn(keyword, "is not a known term; judged by the image")
        reading.note_unknown(dataset, keyword)
    for one in stated_views(dataset):
        if one.meaning:
            stated.append(one)
        else:
            reading.warn(one.keyword, "has no known code; judged by the image")
    return stated if _though(stated, (View.FRONTAL,)) else stated + suggested_view(dataset)


def _check_view(stated: list[Stated]) -> None:
    though = _though(stated, (View.FRONTAL,))
    for one in stated:
        # An axial one beside a frontal one is an angle of the tube.
        if one.meaning != View.FRONTAL and not (though and one.meaning == View.AXIAL):
            article = "an" if one.meaning[0] in "ao" else "a"
            raise not_frontal_chest(
                f"{article} {one.meaning} view: {one}{though}, the network reads frontal views only"
            )


def _is_neutral(value: str) -> bool:
    """Whether View Position says how the patient stands, or the part, and nothing of the view."""
    return all(word in NEUTRAL or part_of(word) for word in known_words(value, NEUTRAL))


def _though(stated: Iterable[Stated], meanings: tuple[str, ...]) -> str:
    """Return the clause that names a place which contradicts, "" if there is none."""
    return next((f" though {one}" for one in stated if one.meaning in meanings), "")


def _local(dataset: Dataset, keyword: str, local_terms: LocalTerms) -> bool:
    """Whether the installation lists the word as chest or frontal. Raises RefusedError if it lists
    it as something else.
    """
    is_fitting = local_terms.get(keyword, {}).get(code(dataset, keyword))
    if is_fitting is False:
        raise not_frontal_chest(
            f"not a frontal chest radiograph: {label(keyword)} is on this service's list of other "
            "words"
        )
    return bool(is_fitting)


def burned_in_warnings(dataset: Dataset) -> list[str]:
    """Return a sentence for each statement by PS3.3 C.7.6.1 and C.8.6.1.

    Burned In Annotation (0028,0301) outweighs what the image's origin suggests.
    """
    stated = term(dataset, "BurnedInAnnotation")
    found = [TEXT] if stated == "YES" else []
    if term(dataset, "RecognizableVisualFeatures") == "YES":
        found.append(FACE)
    if not stated and (
        f"{text(dataset, 'SOPClassUID')}.".startswith(f"{_SECONDARY_CAPTURE}.")
        or term(dataset, "ConversionType")
        or code(dataset, "Modality") in CONVERTED
    ):
        found.append(HINT)
    return found
