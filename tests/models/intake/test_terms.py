"""Unknown words: hidden until several patients have them, bounded, forgotten with the images."""

from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models.base import now
from models.intake.terms import (
    MAX_TERMS,
    Sighting,
    count_terms,
    forget_terms,
    list_terms,
    local_terms,
    set_meaning,
)
from models.tables.terms import Meaning, UnknownTerm
from tests.support.servers.databases import both_databases

KEY = b"an invented key"
PART = "BodyPartExamined"


def see(session: Session, value: str, *patients: str, keyword: str = PART) -> None:
    count_terms(session, [Sighting(keyword, value, patient) for patient in patients], key=KEY)


def shown(session: Session) -> list[tuple[str | None, int]]:
    return [(term.value, term.images) for term in list_terms(session)]


@both_databases
def test_word_is_stored_once_three_patients_have_it(session: Session) -> None:
    see(session, "ROENTGENBILD", "anna", "anna", "ben")
    see(session, "ROENTGENBILD", "ben", "anna")
    assert shown(session) == []
    hidden = session.scalars(select(UnknownTerm)).one()
    assert (hidden.value, hidden.patients, hidden.images) == (None, ["anna", "ben"], 5)
    assert set_meaning(session, hidden.id, Meaning.FITTING) is None
    see(session, "ROENTGENBILD", "carl")
    assert shown(session) == [("ROENTGENBILD", 6)]
    assert hidden.patients == []


def test_same_word_of_two_attributes_is_two_terms(session: Session) -> None:
    see(session, "SNARK", "a", "b", "c")
    see(session, "SNARK", "a", "b", "c", keyword="ViewPosition")
    assert [term.keyword for term in list_terms(session)] == [PART, "ViewPosition"]


def test_terms_seen_last_are_kept(session: Session) -> None:
    for number in range(MAX_TERMS + 5):
        see(session, f"WORD {number}", "a", "b", "c")
        if number == 0:
            set_meaning(session, list_terms(session)[0].id, Meaning.FITTING)
    values = {value for value, _ in shown(session)}
    assert len(values) == MAX_TERMS + 1
    assert {"WORD 0", "WORD 5", f"WORD {MAX_TERMS + 4}"} <= values
    assert "WORD 4" not in values


def test_meanings_are_what_decoders_get(session: Session) -> None:
    for word in ("ONE", "TWO", "THREE"):
        see(session, word, "a", "b", "c")
    one, two, three = list_terms(session)
    set_meaning(session, one.id, Meaning.FITTING)
    set_meaning(session, two.id, Meaning.OTHER)
    set_meaning(session, three.id, None)
    assert local_terms(session) == {PART: {"ONE": True, "TWO": False}}
    assert [term.value for term in list_terms(session)] == ["THREE", "ONE", "TWO"]


def test_forgotten_are_words_without_meaning_that_came_no_more(session: Session) -> None:
    for word in ("OLD", "KEPT", "NEW"):
        see(session, word, "a", "b", "c")
    old, kept, _ = list_terms(session)
    set_meaning(session, kept.id, Meaning.OTHER)
    session.flush()
    hour_ago = now() - timedelta(hours=1)
    which = UnknownTerm.id.in_([old.id, kept.id])
    session.execute(update(UnknownTerm).where(which).values(last_seen_at=hour_ago))
    forget_terms(session, until=hour_ago)
    assert {value for value, _ in shown(session)} == {"KEPT", "NEW"}
