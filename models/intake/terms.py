"""Words of this installation: counted where no table knows them, and given a meaning by admins."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from models.base import now
from models.query import insert_new
from models.tables.terms import Meaning, UnknownTerm
from pipeline.pseudonym import pseudonym

# A word of a hospital comes from many patients, a name from one.
MIN_PATIENTS: Final = 3
MAX_TERMS: Final = 200  # without a meaning; the ones seen last are kept


@dataclass(frozen=True)
class Sighting:
    """One image's word. patient: a hash, of the study where no patient is stated."""

    keyword: str
    value: str
    patient: str


def count_terms(session: Session, sightings: Iterable[Sighting], *, key: bytes) -> None:
    """key: of the words' hashes."""
    by_term: defaultdict[tuple[str, str], list[Sighting]] = defaultdict(list)
    for one in sightings:
        by_term[one.keyword, pseudonym(key, "term", one.keyword, one.value)].append(one)
    for (keyword, term_hash), seen in sorted(by_term.items()):  # workers lock rows in one order
        new = {"keyword": keyword, "term_hash": term_hash, "patients": [], "images": 0}
        insert_new(session, UnknownTerm, [new])
        which = UnknownTerm.keyword == keyword, UnknownTerm.term_hash == term_hash
        _add(session.scalars(select(UnknownTerm).where(*which).with_for_update()).one(), seen)
    if by_term:
        session.flush()
        newest = UnknownTerm.last_seen_at.desc(), UnknownTerm.id.desc()
        without = select(UnknownTerm.id).where(UnknownTerm.meaning.is_(None)).order_by(*newest)
        dropped = session.scalars(without.offset(MAX_TERMS)).all()
        session.execute(delete(UnknownTerm).where(UnknownTerm.id.in_(dropped)))


def _add(term: UnknownTerm, seen: Sequence[Sighting]) -> None:
    term.images += len(seen)
    term.last_seen_at = now()
    if term.value is None:
        patients = {*term.patients, *(one.patient for one in seen)}
        if len(patients) < MIN_PATIENTS:
            term.patients = sorted(patients)
        else:
            term.value, term.patients = seen[0].value, []


def list_terms(session: Session) -> Sequence[UnknownTerm]:
    """Those that may be shown to admins, first those without a meaning."""
    shown = select(UnknownTerm).where(UnknownTerm.value.is_not(None))
    return session.scalars(
        shown.order_by(UnknownTerm.meaning.is_not(None), UnknownTerm.images.desc(), UnknownTerm.id)
    ).all()


def set_meaning(session: Session, term_id: int, meaning: Meaning | None) -> UnknownTerm | None:
    """Return the term, None if it is not there to be seen."""
    term = session.get(UnknownTerm, term_id)
    if term is None or term.value is None:
        return None
    term.meaning = meaning
    return term


def local_terms(session: Session) -> dict[str, dict[str, bool]]:
    """Return, by keyword and word, whether it fits, as `pipeline.dicom.frontal.LocalTerms`."""
    found: defaultdict[str, dict[str, bool]] = defaultdict(dict)
    for term in list_terms(session):
        if term.value is not None and term.meaning is not None:
            found[term.keyword][term.value] = term.meaning == Meaning.FITTING
    return dict(found)


def forget_terms(session: Session, *, until: datetime) -> None:
    """Words without a meaning that no image had since; those with one are settings."""
    old = UnknownTerm.meaning.is_(None), UnknownTerm.last_seen_at <= until
    session.execute(delete(UnknownTerm).where(*old).execution_options(synchronize_session=False))
