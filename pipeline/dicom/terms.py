"""The code strings that are kept or quoted: terms of the standard and common variants.

Any word in capitals is a valid code string (PS3.5 6.2, VR CS), also a patient's name. So other
values are neither stored nor repeated in a refusal.
"""

import re
from collections.abc import Mapping
from typing import Final

# The tags that readers see and that an image's row in the database keeps.
TAGS: Final = (
    *("Modality", "BodyPartExamined", "ViewPosition", "PatientOrientation"),
    *("PatientSex", "PatientAge", "PresentationIntentType"),
    *("BurnedInAnnotation", "RecognizableVisualFeatures", "PhotometricInterpretation"),
)
AGE: Final = re.compile(r"(\d{3})([DWMY])")  # PS3.5 6.2, VR AS


def _terms(spaced: str) -> frozenset[str]:
    return frozenset(spaced.split())


# PS3.3 C.7.3.1.1.1, and DR and XR, which some devices write. Converters from other formats
# write OT or SC, so these need a body part to be accepted.
RADIOGRAPHY: Final = frozenset({"CR", "DX", "RG", "RF", "DR", "XR"})
CONVERTED: Final = frozenset({"OT", "SC"})
# The others of C.7.3.1.1.1, retired ones too.
_OTHER_MODALITIES: Final = _terms(
    "AR AS ASMT AU BDUS BI BMD CD CF CFM CP CS CT CTPROTOCOL DD DF DG DM DMS DOC DS EC ECG EEG EMG"
    " EOG EPS ES FA FID FS GM HC HD IO IOL IVOCT IVUS KER KO LEN LP LS M3D MA MG MR MS NM OAM OCT"
    " OP OPM OPR OPT OPTBSV OPTENF OPV OSS PA PLAN POS PR PT PX REG RESP RTDOSE RTIMAGE RTINTENT"
    " RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF ST STAIN TEXTUREMAP TG US VA"
    " VF XA XAPROTOCOL XC"
)
MODALITIES: Final = RADIOGRAPHY | CONVERTED | _OTHER_MODALITIES

UNSTATED: Final = frozenset({"", "UNKNOWN", "UNSPECIFIED", "NONE", "NA", "OTHER", "DEFAULT"})
# PS3.16 annex L has CHEST; the others are common in practice.
CHEST: Final = _terms(
    "CHEST THORAX THORACIC LUNG LUNGS TORAX TORACE TORAXE BRUST PULMON PULMONARY POUMON POUMONS RIB"
    " RIBS CHESTABDOMEN CHESTPORT PORTCHEST CHESTPA CHESTAP CXR HEART"
)
# PS3.16 annex L: other parts, which refusals may name.
OTHER_PARTS: Final = _terms(
    "ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BLADDER BODY BONE BRAIN BREAST"
    " BUTTOCK CALCANEUS CALF CAROTID CLAVICLE COCCYX COLON CSPINE CTSPINE DIGIT EAR ELBOW EXTREMITY"
    " EYE FACE FEMUR FIBULA FINGER FOOT FOREARM HAND HEAD HEADNECK HIP HUMERUS JAW JOINT KIDNEY"
    " KNEE LEG LIVER LOWERLEG LSPINE LSSPINE MANDIBLE MAXILLA NECK NOSE ORBIT PANCREAS PATELLA"
    " PELVIS RADIUS SACRUM SCAPULA SCROTUM SHOULDER SIJOINT SINUS SKULL SPINE SPLEEN SSPINE"
    " STERNUM STOMACH TEETH THIGH THUMB TIBIA TLSPINE TMJ TOE TOOTH TSPINE ULNA UTERUS WHOLEBODY"
    " WRIST"
)

FRONTAL: Final = frozenset({"PA", "AP"})
LATERAL: Final = frozenset({"LL", "RL", "LLD", "RLD", "LAT", "LATERAL", "ML", "LM"})
# PS3.3 C.8.7.10 (mammography's are left out) and C.8.11.5.
OBLIQUE: Final = frozenset({"RLO", "LLO", "LAO", "RAO", "LPO", "RPO", "OBL", "OBLIQUE"})

# By keyword, the terms that may be kept; a comment gives the section that defines them.
TERMS: Final[Mapping[str, frozenset[str]]] = {
    "Modality": MODALITIES,
    "BodyPartExamined": CHEST | UNSTATED,
    "ViewPosition": FRONTAL | LATERAL | OBLIQUE,
    "PatientSex": frozenset({"M", "F", "O"}),  # C.7.1.1
    "PresentationIntentType": frozenset({"FOR PRESENTATION", "FOR PROCESSING"}),  # C.8.11.1
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

    Other words for the chest become CHEST.
    """
    if keyword == "PatientOrientation":
        return code if _ORIENTATION.fullmatch(code) else ""
    if keyword == "BodyPartExamined" and code not in TERMS[keyword]:
        return "CHEST" if is_chest(code) else ""
    return code if code in TERMS[keyword] else ""


def is_kept(keyword: str, value: str) -> bool:
    """Whether an attribute of `TAGS` may have this value where it is kept."""
    if keyword == "PatientAge":
        return AGE.fullmatch(value) is not None
    return keyword in TAGS and value != "" and defined_term(keyword, value) == value


def is_chest(body_part: str) -> bool:
    return any(word in CHEST for word in words(body_part))


def words(body_part: str) -> list[str]:
    return [word for word in re.split(r"[^A-Z]+", body_part) if word]
