"""The patient of a file name, and the split of a patient.

Every rule is a keyed hash of the patient alone, so that a patient stays in the same split for
ever. The constants are not settings for the same reason: another value would move patients from
test to training.
"""

import hashlib
import hmac
import re
from typing import Final

from pipeline.types import Split

TEST_SHARE: Final = 0.25
VALIDATION_SHARE: Final = 0.15

_SITE_KEY: Final = "overread-site-1"
# The rule by which the shipped networks were trained: their cards state it.
_PUBLIC_KEY: Final = "overread-1"
_PUBLIC_SHARE: Final = 0.15
_HALVES_KEY: Final = "overread-imported-1"
_FOLDS_KEY: Final = "overread-folds-1"
_PATIENT = re.compile(r"(person\d+)_|((?:NORMAL2-)?IM-\d+)-")


def known_patient_of(file_name: str) -> str | None:
    """The patient by the public sets' naming; None for any other name.

    `person123_bacteria_45.jpeg` -> `person123`; `IM-0133-0001-0002.jpeg` -> `IM-0133`.
    `NORMAL2-IM-1427-0001.jpeg` is patient `NORMAL2-IM-1427`, another than `IM-1427`. The public
    set does not document this; it is the reading that the literature uses.
    """
    match = _PATIENT.match(file_name)
    return (match[1] or match[2]) if match else None


def patient_of(file_name: str) -> str:
    """Like `known_patient_of`; any other name is a patient of its own."""
    return known_patient_of(file_name) or file_name


def split_of(patient: str, *, key: str, validation_share: float) -> Split:
    """Validation or train, by the patient's clear name."""
    return Split.VALIDATION if _fraction(key, patient) < validation_share else Split.TRAIN


def patient_fold(patient: str, *, folds: int) -> int:
    """The patient's place among so many folds of equal size, for cross-validation."""
    return int(_fraction(_FOLDS_KEY, patient) * folds)


def assign_split(patient_hash: str) -> Split:
    """The split of a site's patient, by the installation's keyed hash of the patient (text).

    A quarter of the patients to test, 15 % to validation, the rest to train.
    """
    fraction = _fraction(_SITE_KEY, patient_hash)
    if fraction < TEST_SHARE:
        return Split.TEST
    return Split.VALIDATION if fraction < TEST_SHARE + VALIDATION_SHARE else Split.TRAIN


def imported_split(patient: str) -> Split:
    """The split of an imported patient whose set states none, by the patient's clear name.

    Patients that the shipped networks' training set aside (15 %) are halved into test and
    validation, so that no shipped network was trained on an imported test patient.
    """
    if split_of(patient, key=_PUBLIC_KEY, validation_share=_PUBLIC_SHARE) is Split.TRAIN:
        return Split.TRAIN
    return Split.TEST if _fraction(_HALVES_KEY, patient) < 0.5 else Split.VALIDATION


def _fraction(key: str, patient: str) -> float:
    """Evenly spread over [0, 1): the first 64 bits of HMAC-SHA256 (RFC 2104)."""
    digest = hmac.new(key.encode(), patient.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
