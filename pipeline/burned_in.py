"""What a DICOM file's tags admit of text and faces in its pixels, which nobody here cleans."""

from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import UID

from pipeline.defined_terms import CONVERTED
from pipeline.dicom_tags import code, term, text

TEXT: Final = "its tags say that text is burned into the picture; it may name the patient"
FACE: Final = "its tags say that the picture shows features by which a person can be recognised"
HINT: Final = "a digitised film or a screen capture: text may be burned into the picture"

# PS3.3 C.8.6.1, Conversion Type: digitised video, interface and film, workstation, scanned
# document and image, drawing, synthetic picture.
_CONVERSIONS: Final = frozenset({"DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"})
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"  # PS3.4 B.5; multi-frame kinds lie below


def burned_in_warnings(dataset: Dataset) -> list[str]:
    """Return a sentence for each admission of PS3.3 C.7.6.1 and C.8.6.1.

    Burned In Annotation (0028,0301) outweighs what the way of making the picture suggests.
    """
    stated = term(dataset, "BurnedInAnnotation")
    found = [TEXT] if stated == "YES" else []
    if term(dataset, "RecognizableVisualFeatures") == "YES":
        found.append(FACE)
    if not stated and _is_second_hand(dataset):
        found.append(HINT)
    return found


def _is_second_hand(dataset: Dataset) -> bool:
    sop_class = UID(text(dataset, "SOPClassUID"))
    return (
        f"{sop_class}.".startswith(f"{_SECONDARY_CAPTURE}.")
        or code(dataset, "ConversionType") in _CONVERSIONS
        or code(dataset, "Modality") in CONVERTED
    )
