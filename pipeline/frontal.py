"""Is it a frontal chest radiograph, as far as its tags tell?

Tags may be missing: then the picture itself is judged later, by its unfamiliarity. Values
are quoted in a refusal only where they are code strings (`dicom_tags` drops all others).
"""

import re
from collections.abc import Mapping

from pipeline.errors import RefusedError

# PS3.3 C.7.3.1.1.1, and DR, which some makers write. OT is what converters from other
# formats write, so it needs a body part to be believed.
_RADIOGRAPHY = frozenset({"CR", "DX", "RG", "RF", "DR", "XR"})
_CONVERTED = frozenset({"OT", "SC"})

_UNSTATED = frozenset({"", "UNKNOWN", "UNSPECIFIED", "NONE", "NA", "OTHER", "DEFAULT"})
# PS3.16 annex L says CHEST; the rest is what departments write.
_CHEST = frozenset(
    [
        "CHEST",
        "THORAX",
        "THORACIC",
        "LUNG",
        "LUNGS",
        "TORAX",
        "TORACE",
        "TORAXE",
        "BRUST",
        "PULMON",
        "PULMONARY",
        "POUMON",
        "POUMONS",
        "RIB",
        "RIBS",
        "CHESTABDOMEN",
        "CHESTPORT",
        "PORTCHEST",
        "CHESTPA",
        "CHESTAP",
        "CXR",
        "HEART",
    ]
)

_FRONTAL = frozenset({"PA", "AP"})
# PS3.3 C.8.7.10 (mammography's are left out) and C.8.11.5.
_NOT_FRONTAL = {
    **dict.fromkeys(("LL", "RL", "LLD", "RLD", "LAT", "LATERAL", "ML", "LM"), "a lateral view"),
    **dict.fromkeys(
        ("RLO", "LLO", "LAO", "RAO", "LPO", "RPO", "OBL", "OBLIQUE"), "an oblique view"
    ),
}


def check_frontal(tags: Mapping[str, str]) -> None:
    """Raise RefusedError if `tags` (by keyword) contradict a frontal chest radiograph."""
    _check_modality(tags.get("Modality", ""), tags.get("BodyPartExamined", ""))
    _check_body_part(tags.get("BodyPartExamined", ""))
    _check_view(tags.get("ViewPosition", ""), tags.get("PatientOrientation", ""))


def _check_modality(modality: str, body_part: str) -> None:
    if not modality or modality in _RADIOGRAPHY:
        return
    if modality in _CONVERTED and _is_chest(body_part):
        return
    raise RefusedError(
        f"not a chest radiograph: Modality (0008,0060) is {modality}, "
        "expected CR, DX, RG, RF or none"
    )


def _check_body_part(body_part: str) -> None:
    if body_part not in _UNSTATED and not _is_chest(body_part):
        raise RefusedError(
            f"not a chest radiograph: Body Part Examined (0018,0015) is {body_part}, "
            "expected CHEST or none"
        )


def _is_chest(body_part: str) -> bool:
    return any(word in _CHEST for word in re.split(r"[^A-Z]+", body_part))


def _check_view(view: str, patient_orientation: str) -> None:
    if view in _FRONTAL:
        return
    if view in _NOT_FRONTAL:
        raise RefusedError(
            f"{_NOT_FRONTAL[view]}: View Position (0018,5101) is {view}, "
            "the network reads frontal views only"
        )
    # PS3.3 C.7.6.1.1.1: rows that run from front to back are those of a lateral view.
    if patient_orientation[:1] in ("A", "P"):
        raise RefusedError(
            "a lateral view: Patient Orientation (0020,0020) is "
            f"{patient_orientation}, the network reads frontal views only"
        )
