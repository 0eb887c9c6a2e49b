"""Keyed hashes in place of identifiers: they group files, but identify no one."""

import hashlib
import hmac
from collections.abc import Callable, Sequence

LONGEST_IDENTIFIER = 1024  # characters; PS3.5 6.2 allows 64 (VR LO and UI)

# Answers questions (kind and identifiers, as of `pseudonym`) in order. The key stays with whoever
# answers: a process that reads hostile files asks another.
Pseudonyms = Callable[[Sequence[tuple[str, ...]]], Sequence[str]]


def pseudonym(key: bytes, kind: str, *identifiers: str) -> str:
    """Return HMAC-SHA256 as 64 hexadecimal digits.

    kind: the use; equal identifiers of different kinds have different hashes. Each part is
    preceded by its length, so that ("ab", "c") and ("a", "bc") differ.
    """
    message = b"".join(
        len(part).to_bytes(4, "big") + part
        for part in (text.encode() for text in (kind, *identifiers))
    )
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def keyed_pseudonyms(key: bytes) -> Pseudonyms:
    return lambda questions: [pseudonym(key, *question) for question in questions]


def patient_pseudonym(key: bytes, patient_id: str, *, issuer: str = "") -> str:
    """Return the keyed hash of a patient, equal for DICOM files and label tables.

    issuer: Issuer of Patient ID (0010,0021); empty where the source states none.
    """
    return pseudonym(key, *patient_question(patient_id, issuer=issuer))


def patient_question(patient_id: str, *, issuer: str) -> tuple[str, str, str]:
    return "patient", issuer, patient_id


def pseudonymous_uid(key: bytes, uid: str) -> str:
    return uid_of_hash(pseudonym(key, "uid", uid))


def uid_of_hash(keyed_hash: str) -> str:
    """Return a UID below 2.25 (PS3.5 B.2) made from 128 bits of the keyed hash of kind `uid`."""
    return f"2.25.{int(keyed_hash[:32], 16)}"
