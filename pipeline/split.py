"""Which patient an image shows, by its file name, and which split the patient belongs to."""

import hashlib
import hmac
import re
from typing import Literal

Split = Literal["train", "validation"]
_PATIENT = re.compile(r"(person\d+)_|((?:NORMAL2-)?IM-\d+)-")


def patient_of(file_name: str) -> str:
    """`person123_bacteria_45.jpeg` -> `person123`; `IM-0133-0001-0002.jpeg` -> `IM-0133`.

    `NORMAL2-IM-1427-0001.jpeg` is patient `NORMAL2-IM-1427`, another than `IM-1427`. The public
    set does not document this; it is the reading that the literature uses. Any other name is a
    patient of its own.
    """
    match = _PATIENT.match(file_name)
    if match is None:
        return file_name
    return match[1] or match[2]


def split_of(patient: str, *, key: str, validation_share: float) -> Split:
    """Stable for ever: depends on patient and key alone, not on who else is in the set."""
    digest = hmac.new(key.encode(), patient.encode(), hashlib.sha256).digest()
    fraction = int.from_bytes(digest[:8], "big") / 2**64
    return "validation" if fraction < validation_share else "train"
