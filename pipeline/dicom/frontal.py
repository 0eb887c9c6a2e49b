"""What tags say of an image: whether it is a frontal chest radiograph, and burned-in text.

Tags may be missing: the image itself is judged later, by its unfamiliarity. Refusals repeat
defined terms only, since any other value may be a name. Pixels are not cleaned of text.
"""

from collections.abc import Mapping
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import UID

from pipeline.dicom.attributes import code, term, text
from pipeline.dicom.terms import (
    CONVERTED,
    FRONTAL,
    LATERAL,
    MODALITIES,
    OBLIQUE,
    OTHER_PARTS,
    RADIOGRAPHY,
    UNSTATED,
    defined_term,
    is_chest,
    words,
)
from pipeline.errors import not_frontal_chest

JUDGED: Final = ("Modality", "BodyPartExamined", "ViewPosition", "PatientOrientation")
_UNKNOWN = "not a term of the standard"
_NOT_FRONTAL = dict.fromkeys(LATERAL, "a lateral view") | dict.fromkeys(OBLIQUE, "an oblique view")


def check_frontal(codes: Mapping[str, str]) -> None:
    """Raise RefusedError if the code strings contradict a frontal chest radiograph.

    codes: those of the attributes in `JUDGED`, by keyword, as the file states them.
    """
    _check_modality(codes.get("Modality", ""), codes.get("BodyPartExamined", ""))
    _check_body_part(codes.get("BodyPartExamined", ""))
    _check_view(codes.get("ViewPosition", ""), codes.get("PatientOrientation", ""))


def _check_modality(modality: str, body_part: str) -> None:
    if not modality or modality in RADIOGRAPHY:
        return
    if modality in CONVERTED and is_chest(body_part):
        return
    raise not_frontal_chest(
        "not a chest radiograph: Modality (0008,0060) is "
        f"{modality if modality in MODALITIES else _UNKNOWN}, expected CR, DX, RG, RF or none"
    )


def _check_body_part(body_part: str) -> None:
    if body_part not in UNSTATED and not is_chest(body_part):
        known = OTHER_PARTS.issuperset(words(body_part)) and words(body_part)
        raise not_frontal_chest(
            "not a chest radiograph: Body Part Examined (0018,0015) is "
            f"{body_part if known else _UNKNOWN}, expected CHEST or none"
        )


def _check_view(view: str, patient_orientation: str) -> None:
    if view in FRONTAL:
        return
    if view in _NOT_FRONTAL:
        raise not_frontal_chest(
            f"{_NOT_FRONTAL[view]}: View Position (0018,5101) is {view}, "
            "the network reads frontal views only"
        )
    # PS3.3 C.7.6.1.1.1: in lateral views rows run from front to back.
    orientation = defined_term("PatientOrientation", patient_orientation)
    if orientation[:1] in ("A", "P"):
        raise not_frontal_chest(
            f"a lateral view: Patient Orientation (0020,0020) is {orientation}, "
            "the network reads frontal views only"
        )


TEXT: Final = "its tags state burned-in text, which may name the patient"
FACE: Final = "its tags state recognisable visual features"
HINT: Final = "a digitised film or a screen capture: text may be burned in"

# PS3.3 C.8.6.1, Conversion Type: digitised video, interface and film, workstation, scanned
# document and image, drawing, synthetic image.
_CONVERSIONS: Final = frozenset({"DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"})
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"  # PS3.4 B.5, prefix of the multi-frame ones


def burned_in_warnings(dataset: Dataset) -> list[str]:
    """Return a sentence for each statement by PS3.3 C.7.6.1 and C.8.6.1.

    Burned In Annotation (0028,0301) outweighs what the image's origin suggests.
    """
    stated = term(dataset, "BurnedInAnnotation")
    found = [TEXT] if stated == "YES" else []
    if term(dataset, "RecognizableVisualFeatures") == "YES":
        found.append(FACE)
    if not stated and _is_converted(dataset):
        found.append(HINT)
    return found


def _is_converted(dataset: Dataset) -> bool:
    sop_class = UID(text(dataset, "SOPClassUID"))
    return (
        f"{sop_class}.".startswith(f"{_SECONDARY_CAPTURE}.")
        or code(dataset, "ConversionType") in _CONVERSIONS
        or code(dataset, "Modality") in CONVERTED
    )
