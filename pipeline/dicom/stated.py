"""The places where a data set states view and body part, each with what it says.

Only known words and codes are returned, which may be repeated in refusals and warnings.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from pydicom.dataset import Dataset

from pipeline.dicom.attributes import label, raw_value, term, text
from pipeline.dicom.vocabulary.body_parts import CHEST, COMBINED, PART_CODES, PLAIN_OTHER, part_of
from pipeline.dicom.vocabulary.views import (
    PLAIN_LATERAL,
    VIEW_CODES,
    VIEW_WORDS,
    View,
    view_words,
)
from pipeline.dicom.vocabulary.words import words
from pipeline.errors import RefusedError

T = TypeVar("T", bound=str)

# Designators of SNOMED in PS3.16 section 8, today's and retired ones; some devices write none.
_SNOMED: Final = frozenset({"SCT", "SRT", "SNM3", "99SDM", "2.16.840.1.113883.6.96", ""})
_MAX_ITEMS: Final = 16
# Free text about this image, not about its study.
_DESCRIPTIONS: Final = (
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
)


@dataclass(frozen=True)
class Stated:
    """meaning: a `View`, a term of a body part, or "" where no word or code is known."""

    keyword: str
    meaning: str
    word: str

    def __str__(self) -> str:
        return f"{label(self.keyword)} is {self.word}"


def stated_regions(dataset: Dataset) -> list[Stated]:
    """The region, else the structure within it: a heart or a rib is part of a chest."""
    for keyword in ("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence"):
        items = [*_items(dataset, keyword), *_frame_items(dataset, keyword)]
        parts = [_meaning(item, PART_CODES, part_of) for item in items]
        if CHEST in parts and set(parts) - {CHEST, ""}:
            parts = [COMBINED]
        if parts:
            return [Stated(keyword, part, part) for part in parts]
    return []


def stated_views(dataset: Dataset) -> Iterator[Stated]:
    """Of all places but View Position."""
    for item in _items(dataset, "ViewCodeSequence"):
        view = _meaning(item, VIEW_CODES, _view_of)
        yield Stated("ViewCodeSequence", view, view)
        for modifier in _items(item, "ViewModifierCodeSequence"):
            view = _meaning(modifier, VIEW_CODES, _view_of)
            if view and view != View.AXIAL:  # PS3.16 CID 4011: an angle of the tube
                yield Stated("ViewModifierCodeSequence", view, view)
    for word in view_words(text(dataset, "BodyPartExamined")):
        if word in PLAIN_LATERAL:
            yield Stated("BodyPartExamined", View.LATERAL, word)


def suggested_view(dataset: Dataset) -> list[Stated]:
    """By what devices often leave at one value: the orientation, and free text.

    A lateral view by free text that says nothing of a frontal one.
    """
    if (oriented := _orientation(dataset)) is not None:
        return [oriented]
    for keyword, found in _described(dataset):
        lateral = [word for word in found if word in PLAIN_LATERAL]
        if lateral and View.FRONTAL not in {VIEW_WORDS.get(word) for word in found}:
            return [Stated(keyword, View.LATERAL, lateral[0])]
    return []


def suggested_part(dataset: Dataset) -> list[Stated]:
    """Another part by free text that says nothing of the chest."""
    described = dict(_described(dataset))
    if any(part_of(" ".join(found)) in (CHEST, COMBINED) for found in described.values()):
        return []
    for keyword, found in described.items():
        if others := [PLAIN_OTHER[word] for word in found if word in PLAIN_OTHER]:
            return [Stated(keyword, others[0], others[0])]
    return []


def _orientation(dataset: Dataset) -> Stated | None:
    """PS3.3 C.7.6.1.1.1: in frontal views no row and no column runs from front to back."""
    orientation = term(dataset, "PatientOrientation")
    row, _, column = (axis[:1] for axis in orientation.partition("\\"))
    if {"A", "P"}.isdisjoint((row, column)):
        return None
    is_lateral = not {"F", "H"}.isdisjoint((row, column))
    view = View.LATERAL if is_lateral else View.AXIAL
    return Stated("PatientOrientation", view, orientation)


def _meaning(item: Dataset, codes: Mapping[str, T], of_text: Callable[[str], T | str]) -> T | str:
    """By the code; of other coding schemes by its meaning in words."""
    try:
        scheme, value = text(item, "CodingSchemeDesignator"), text(item, "CodeValue")
        if scheme.upper() in _SNOMED and value in codes:
            return codes[value]
        return of_text(text(item, "CodeMeaning"))
    except RefusedError:
        return ""


def _view_of(meaning: str) -> str:
    found = {VIEW_WORDS[word] for word in view_words(meaning)}
    if {View.FRONTAL, View.LATERAL} <= found:
        return ""
    return next((view for view in reversed(View) if view in found), "")


def _described(dataset: Dataset) -> Iterator[tuple[str, list[str]]]:
    for keyword in _DESCRIPTIONS:
        try:
            yield keyword, words(text(dataset, keyword))
        except RefusedError:
            continue


def _frame_items(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    """Of enhanced images (PS3.3 C.7.6.16.2.8), where all frames show one region."""
    for groups in _items(dataset, "SharedFunctionalGroupsSequence"):
        for anatomy in _items(groups, "FrameAnatomySequence"):
            yield from _items(anatomy, keyword)


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    try:
        return list(raw_value(dataset, keyword) or ())[:_MAX_ITEMS]
    except RefusedError:  # no reason to lose an image: it is judged by its other tags
        return []
