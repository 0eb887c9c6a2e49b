"""The code strings that are kept or quoted: terms of the standard and common variants.

Any word in capitals is a valid code string (PS3.5 6.2, VR CS), also a patient's name. So other
values are neither stored nor repeated in a refusal.
"""

import re
from collections.abc import Mapping
from typing import Final

from pipeline.dicom.vocabulary.body_parts import CHEST, COMBINED, KEPT_PARTS, part_of
from pipeline.dicom.vocabulary.views import KEPT_VIEWS, kept_view
from pipeline.dicom.vocabulary.words import terms

# The tags that readers see and that an image's row in the database keeps.
TAGS: Final = (
    *("Modality", "BodyPartExamined", "ViewPosition", "PatientOrientation"),
    *("PatientSex", "PatientAge", "PresentationIntentType"),
    *("BurnedInAnnotation", "RecognizableVisualFeatures", "PhotometricInterpretation"),
    *("QualityControlImage", "SyntheticData"),
)
AGE: Final = re.compile(r"(\d{3})([DWMY])")  # PS3.5 6.2, VR AS


# PS3.3 C.7.3.1.1.1, and DR and XR, which some devices write. Converters from other formats
# write OT or SC, so these need a body part to be accepted.
RADIOGRAPHY: Final = frozenset({"CR", "DX", "RG", "RF", "DR", "XR"})
CONVERTED: Final = frozenset({"OT", "SC"})
# The others of C.7.3.1.1.1, retired ones too.
_OTHER_MODALITIES: Final = terms(
    "AR AS ASMT AU BDUS BI BMD CD CF CFM CP CS CT CTPROTOCOL DD DF DG DM DMS DOC DS EC ECG EEG EMG"
    " EOG EPS ES FA FID FS GM HC HD IO IOL IVOCT IVUS KER KO LEN LP LS M3D MA MG MR MS NM OAM OCT"
    " OP OPM OPR OPT OPTBSV OPTENF OPV OSS PA PLAN POS PR PT PX REG RESP RTDOSE RTIMAGE RTINTENT"
    " RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF ST STAIN TEXTUREMAP TG US VA"
    " VF XA XAPROTOCOL XC"
)
MODALITIES: Final = RADIOGRAPHY | CONVERTED | _OTHER_MODALITIES

UNSTATED: Final = frozenset({"", "UNKNOWN", "UNSPECIFIED", "NONE", "NA", "OTHER", "DEFAULT"})
# By keyword, the terms that may be kept; a comment gives the section that defines them.
TERMS: Final[Mapping[str, frozenset[str]]] = {
    "Modality": MODALITIES,
    "BodyPartExamined": KEPT_PARTS | UNSTATED,
    "ViewPosition": KEPT_VIEWS,
    "PatientSex": frozenset({"M", "F", "O"}),  # C.7.1.1
    "PresentationIntentType": frozenset({"FOR PRESENTATION", "FOR PROCESSING"}),  # C.8.11.1
    "QualityControlImage": frozenset({"YES", "NO", "BOTH"}),  # C.8.1.1
    "SyntheticData": frozenset({"YES", "NO"}),  # C.12.1
    # C.8.6.1: digitised video, interface and film, workstation, scanned document and image,
    # drawing, synthetic image.
    "ConversionType": frozenset({"DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"}),
    "BurnedInAnnotation": frozenset({"YES", "NO"}),  # C.7.6.1
    "RecognizableVisualFeatures": frozenset({"YES", "NO"}),  # C.7.6.1
    "PhotometricInterpretation": frozenset(
        {
            *("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB"),
            *("YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"),
        }
    ),  # C.7.6.3.1.2
    "VOILUTFunction": frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"}),  # C.11.2.1.3
    "PresentationLUTShape": frozenset({"IDENTITY", "INVERSE"}),  # C.11.6
    "LossyImageCompression": frozenset({"00", "01"}),  # C.7.6.1.1.5
}
# C.7.6.1.1.1: directions of rows and columns: anterior, posterior, right, left, head, foot.
_ORIENTATION = re.compile(r"[APRLHF]{1,3}\\[APRLHF]{1,3}")


def defined_term(keyword: str, code: str) -> str:
    """Return a code string as it may be kept, "" if it is not a term of its attribute.

    Other words for the chest become CHEST, other words for a frontal view PA or AP.
    """
    if keyword == "PatientOrientation":
        return code if _ORIENTATION.fullmatch(code) else ""
    if code in TERMS[keyword]:
        return code
    if keyword == "BodyPartExamined":
        return "CHEST" if part_of(code) in (CHEST, COMBINED) else ""
    return kept_view(code) if keyword == "ViewPosition" else ""


def is_kept(keyword: str, value: str) -> bool:
    """Whether an attribute of `TAGS` may have this value where it is kept."""
    if keyword == "PatientAge":
        return AGE.fullmatch(value) is not None
    return keyword in TAGS and value != "" and defined_term(keyword, value) == value
