"""What tags say of an image: whether it is a frontal chest radiograph, and burned-in text.

Tags may be missing: the image itself is judged later, by its unfamiliarity. Refusals repeat
defined terms only, since any other value may be a name. Pixels are not cleaned of text.
"""

from typing import Final

from pydicom.dataset import Dataset

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
    is_chest,
    words,
)
from pipeline.errors import not_frontal_chest

_UNKNOWN = "not a term of the standard"
_NOT_FRONTAL = dict.fromkeys(LATERAL, "a lateral view") | dict.fromkeys(OBLIQUE, "an oblique view")

TEXT: Final = "its tags state burned-in text, which may name the patient"
FACE: Final = "its tags state recognisable visual features"
HINT: Final = "a digitised film or a screen capture: text may be burned in"

# PS3.3 C.8.6.1, Conversion Type: digitised video, interface and film, workstation, scanned
# document and image, drawing, synthetic image.
_CONVERSIONS: Final = frozenset({"DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"})
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"  # PS3.4 B.5, prefix of the multi-frame ones


def check_frontal(dataset: Dataset) -> None:
    """Raise RefusedError if the tags contradict a frontal chest radiograph."""
    modality, body_part = code(dataset, "Modality"), code(dataset, "BodyPartExamined")
    is_accepted = modality in RADIOGRAPHY or (modality in CONVERTED and is_chest(body_part))
    if modality and not is_accepted:
        raise not_frontal_chest(
            "not a chest radiograph: Modality (0008,0060) is "
            f"{modality if modality in MODALITIES else _UNKNOWN}, expected CR, DX, RG, RF or none"
        )
    if body_part not in UNSTATED and not is_chest(body_part):
        known = OTHER_PARTS.issuperset(words(body_part)) and words(body_part)
        raise not_frontal_chest(
            "not a chest radiograph: Body Part Examined (0018,0015) is "
            f"{body_part if known else _UNKNOWN}, expected CHEST or none"
        )
    view, orientation = code(dataset, "ViewPosition"), term(dataset, "PatientOrientation")
    if view in _NOT_FRONTAL:
        raise not_frontal_chest(
            f"{_NOT_FRONTAL[view]}: View Position (0018,5101) is {view}, "
            "the network reads frontal views only"
        )
    # PS3.3 C.7.6.1.1.1: in lateral views rows run from front to back.
    if view not in FRONTAL and orientation[:1] in ("A", "P"):
        raise not_frontal_chest(
            f"a lateral view: Patient Orientation (0020,0020) is {orientation}, "
            "the network reads frontal views only"
        )


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
        or code(dataset, "ConversionType") in _CONVERSIONS
        or code(dataset, "Modality") in CONVERTED
    ):
        found.append(HINT)
    return found
