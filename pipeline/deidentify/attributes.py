"""Every attribute that a stored DICOM file may have, with the reason. Nothing else is kept.

The Basic Profile (PS3.15 annex E, table E.1-1) lists what to remove; this lists what to keep, so
that no attribute is forgotten. Free text, private attributes, curves, overlays, dates and times
are never kept, nor any sequence but the two grayscale tables.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Numbers:
    """Rewritten as `count` numbers of this VR, so that they cannot contain text.

    vr: PS3.6; "US or SS" by the sign of the first value.
    """

    vr: str
    count: int
    reason: str


NUMBERS: Final = {
    "SamplesPerPixel": Numbers("US", 1, "how pixels are stored, PS3.3 C.7.6.3"),
    "PlanarConfiguration": Numbers("US", 1, "how pixels are stored, PS3.3 C.7.6.3"),
    "NumberOfFrames": Numbers("IS", 1, "how pixels are stored, PS3.3 C.7.6.6"),
    "Rows": Numbers("US", 1, "how pixels are stored, PS3.3 C.7.6.3"),
    "Columns": Numbers("US", 1, "how pixels are stored, PS3.3 C.7.6.3"),
    "BitsAllocated": Numbers("US", 1, "how pixels are stored, PS3.3 C.7.6.3"),
    "BitsStored": Numbers("US", 1, "how pixels are stored, PS3.3 C.7.6.3"),
    "HighBit": Numbers("US", 1, "how pixels are stored, PS3.3 C.7.6.3"),
    "PixelRepresentation": Numbers("US", 1, "how pixels are stored, PS3.3 C.7.6.3"),
    "PixelPaddingValue": Numbers("US or SS", 1, "which pixels show nothing, PS3.3 C.7.5.1.1.2"),
    "PixelPaddingRangeLimit": Numbers("US or SS", 1, "which pixels show nothing, C.7.5.1.1.2"),
    "RescaleIntercept": Numbers("DS", 1, "stored value to grey, PS3.3 C.11.1"),
    "RescaleSlope": Numbers("DS", 1, "stored value to grey, PS3.3 C.11.1"),
    "WindowCenter": Numbers("DS", 1, "stored value to grey, PS3.3 C.11.2"),
    "WindowWidth": Numbers("DS", 1, "stored value to grey, PS3.3 C.11.2"),
    "PixelAspectRatio": Numbers("IS", 2, "the true proportions of the image, PS3.3 C.7.6.3"),
    "PixelSpacing": Numbers("DS", 2, "sizes in the image, PS3.3 10.7.1"),
    "ImagerPixelSpacing": Numbers("DS", 2, "sizes in the image, PS3.3 C.8.11.4"),
}
# Kept if they are defined terms (see `pipeline.dicom.terms`).
CODES: Final = {
    "Modality": "radiograph or not; it decides whether the file is read at all",
    "BodyPartExamined": "chest or not; it decides whether the file is read at all",
    "ViewPosition": "frontal or not; it decides whether the file is read at all",
    "PatientOrientation": "frontal or not, where the view is not stated",
    "PhotometricInterpretation": "whether the least value is black or white",
    "PresentationIntentType": "whether grey levels are meant for people",
    "VOILUTFunction": "stored value to grey, PS3.3 C.11.2.1.3",
    "PresentationLUTShape": "stored value to grey, PS3.3 C.11.6",
    "LossyImageCompression": "whether details were lost before",
    "BurnedInAnnotation": "readers are warned of text in the pixels",
    "RecognizableVisualFeatures": "readers are warned of faces in the pixels",
}
UIDS: Final = {
    "StudyInstanceUID": "groups a study's images; replaced by a keyed pseudonym",
    "SeriesInstanceUID": "required (PS3.3 C.7.3.1); replaced by a keyed pseudonym",
    "SOPInstanceUID": "required (PS3.3 C.12.1); replaced by a keyed pseudonym",
}
TABLES: Final = {
    "ModalityLUTSequence": "stored value to grey, PS3.3 C.11.1; its numbers only",
    "VOILUTSequence": "stored value to grey, PS3.3 C.11.2; its numbers only",
}
PALETTE: Final = dict.fromkeys(
    [
        f"{colour}PaletteColorLookupTable{part}"
        for colour in ("Red", "Green", "Blue")
        for part in ("Descriptor", "Data")
    ],
    "colours, of PALETTE COLOR only, PS3.3 C.7.6.3.1.5",
)
PIXELS: Final = dict.fromkeys(
    ["PixelData", "FloatPixelData", "DoubleFloatPixelData"],
    "the image; see `pipeline.deidentify.pixels`",
)
EMPTY: Final = dict.fromkeys(
    [
        *("PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
        *("AccessionNumber", "ReferringPhysicianName"),
    ],
    "required but may be empty (PS3.3 C.7.1.1, C.7.2.1), and is",
)
WRITTEN: Final = {
    "SOPClassUID": "which kind of image it is; one that the standard defines",
    "PatientID": "groups a patient's studies: the keyed pseudonym",
    "PatientIdentityRemoved": "required by PS3.15 E.1: YES",
    "DeidentificationMethod": "required by PS3.15 E.1: a fixed text",
    "DeidentificationMethodCodeSequence": "required by PS3.15 E.1: 113100 of PS3.16 CID 7050",
    "LongitudinalTemporalInformationModified": "PS3.3 C.12.1: REMOVED",
}


def kept_attributes() -> dict[str, str]:
    """Return every attribute of a stored data set by keyword, with the reason."""
    numbers = {keyword: one.reason for keyword, one in NUMBERS.items()}
    return numbers | CODES | UIDS | TABLES | PALETTE | PIXELS | EMPTY | WRITTEN
