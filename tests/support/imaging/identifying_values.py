"""Values that name an invented patient, one for each DICOM VR (PS3.5 6.2)."""

from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

NAME = "Plantedperson"
UID = "1.2.826.0.1.3680043.42424242.777"
DATE = "19430217"
_BINARY = NAME.encode() + b"-"
_BY_VR: dict[str, Any] = {
    "AE": NAME,
    "AS": "042Y",
    "AT": 0x4D454D45,
    "CS": NAME.upper(),
    "DA": DATE,
    "DS": "424242.777",
    "DT": f"{DATE}031415",
    "FD": 424242.777,
    "FL": 424242.0,
    "IS": "42424242",
    "PN": f"{NAME}^Invented",
    "SL": -424242424,
    "SS": -31313,
    "SV": -42424242424242,
    "TM": "031415.926535",
    "UI": UID,
    "UL": 4242424242,
    "UR": f"https://{NAME}.invalid/",
    "US": 31313,
    "UV": 42424242424242,
    **dict.fromkeys(("LO", "LT", "SH", "ST", "UC", "UT"), NAME),
    **dict.fromkeys(("OB", "OD", "OF", "OL", "OV", "OW", "UN"), 4 * _BINARY),
}
# As bytes in a file; numbers of a few bytes are left out, since they occur by chance.
TRACES = [
    word.encode()
    for word in (NAME, NAME.upper(), UID, DATE, "424242.777", "42424242", "031415.926535")
]


def identifying_element(tag: int, vr: str) -> DataElement:
    """Return an element that names the patient; of several VRs the first that can."""
    kind = vr.split(" or ")[0]
    if kind == "SQ":
        item = Dataset()
        item.PatientName = NAME
        item.private_block(0x0011, NAME, create=True).add_new(0x01, "LO", NAME)
        return DataElement(tag, "SQ", Sequence([item]))
    return DataElement(tag, kind, _BY_VR[kind])
