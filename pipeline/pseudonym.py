"""Keyed hashes in place of identifiers: they group files, but identify no one."""

import hashlib
import hmac


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


def patient_pseudonym(key: bytes, patient_id: str, *, issuer: str = "") -> str:
    """Return the keyed hash of a patient, equal for DICOM files and label tables.

    issuer: Issuer of Patient ID (0010,0021); empty where the source states none.
    """
    return pseudonym(key, "patient", issuer, patient_id)


def pseudonymous_uid(key: bytes, uid: str) -> str:
    """Return a UID below 2.25 (PS3.5 B.2) made from 128 bits of the keyed hash."""
    return f"2.25.{int(pseudonym(key, 'uid', uid)[:32], 16)}"
