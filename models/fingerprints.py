"""Fingerprints of contents, kept so that each is computed once."""

from collections.abc import Collection, Mapping
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.inserts import insert_new
from models.learning_tables import Fingerprint
from models.paging import batches


class Computed(Protocol):
    """`pipeline.evaluation.fingerprint.Fingerprint`, which costs numpy."""

    @property
    def input_sha256(self) -> str: ...

    @property
    def perceptual_hash(self) -> str: ...


def known_fingerprints(
    session: Session, sha256s: Collection[str], *, preprocessing: str
) -> dict[str, tuple[str, str]]:
    """input_sha256 and perceptual_hash by content, of those that have them."""
    columns = (Fingerprint.sha256, Fingerprint.input_sha256, Fingerprint.perceptual_hash)
    of_now = select(*columns).where(Fingerprint.preprocessing == preprocessing)
    found: dict[str, tuple[str, str]] = {}
    for some in batches(sorted(sha256s)):
        for sha256, *hashes in session.execute(of_now.where(Fingerprint.sha256.in_(some))):
            found[sha256] = (hashes[0], hashes[1])
    return found


def add_fingerprints(
    session: Session, computed: Mapping[str, Computed], *, preprocessing: str
) -> None:
    """By content; those that are there already stay."""
    rows = [
        {
            "sha256": sha256,
            "preprocessing": preprocessing,
            "input_sha256": found.input_sha256,
            "perceptual_hash": found.perceptual_hash,
        }
        for sha256, found in sorted(computed.items())
    ]
    insert_new(session, Fingerprint, rows)
