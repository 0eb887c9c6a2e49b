"""What an admin may make live, and what it takes to go against the gate."""

from typing import Any

import pytest
from sqlalchemy.orm import Session

from models.learning.promotion import (
    AgainstGateError,
    go_back,
    go_live,
    open_proposal,
    reject,
)
from models.learning.versions import (
    LiveChangedError,
    NotMovedError,
    NotServableError,
    install_baseline,
    production_history,
    production_version,
)
from models.tables.intake import ModelVersion
from models.tables.learning import Answer, Outcome
from models.tables.people import Role
from tests.support.data.nights import SAID, a_night, a_trained_version
from tests.support.data.rows import a_user, a_version
from tests.support.servers.databases import Database

# How both databases keep moves in order is tested beside `models.learning.versions`.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

REFUSAL = SAID[Outcome.REFUSED]


def a_candidate(
    session: Session, database: Database, outcome: Outcome | None, name: str = "night-1"
) -> ModelVersion:
    """The newest night's; the shipped network is live unless something else is."""
    if production_version(session) is None:
        install_baseline(session, data_dir=database.settings.data_dir)
    candidate = a_trained_version(session, database.settings, name)
    a_night(session, outcome, candidate=candidate)
    return candidate


def admin(session: Session) -> int:
    return a_user(session, name="ada", role=Role.ADMIN).id


def promote(session: Session, database: Database, version: ModelVersion, **options: Any) -> bool:
    user_id = admin(session)
    return go_live(session, version, settings=database.settings, user_id=user_id, **options)


def live_name(session: Session) -> str:
    live = production_version(session)
    assert live is not None
    return live.name


def test_a_proposal_goes_live_and_its_night_is_answered(database: Database) -> None:
    with database.sessions.begin() as session:
        candidate = a_candidate(session, database, Outcome.PROPOSED)
        proposal = open_proposal(session)
        assert proposal is not None
        assert promote(session, database, candidate)
        assert (proposal.answer, proposal.answered_by) == (Answer.PROMOTED, admin(session))
        assert proposal.answered_at is not None
        assert open_proposal(session) is None
        assert live_name(session) == "night-1"
        newest = production_history(session)[0]
        assert newest.reason == f"proposed by night {proposal.id}: {SAID[Outcome.PROPOSED]}"
        assert not promote(session, database, candidate), "it is live already"


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (Outcome.REFUSED, REFUSAL),
        (Outcome.FAILED, "ended before the gate had decided: it stopped its worker 3 times"),
    ],
)
def test_against_the_gate_an_admin_says_so(
    database: Database, outcome: Outcome, sentence: str
) -> None:
    with database.sessions.begin() as session:
        candidate = a_candidate(session, database, outcome)
        with pytest.raises(AgainstGateError, match=sentence):
            promote(session, database, candidate, reason="I know better")
        assert live_name(session) != "night-1"
        assert promote(session, database, candidate, reason="I know better", despite_refusal=True)
        newest = production_history(session)[0]
        assert newest.reason.startswith("I know better (against the gate: ")
        assert sentence in newest.reason


def test_a_comparison_with_what_is_no_longer_live_does_not_count(database: Database) -> None:
    with database.sessions.begin() as session:
        candidate = a_candidate(session, database, Outcome.PROPOSED)
        other = a_candidate(session, database, Outcome.PROPOSED, "night-2")
        promote(session, database, other)
        with pytest.raises(AgainstGateError, match=r"night-1 was compared with .+, but night-2 is"):
            promote(session, database, candidate)
        assert promote(session, database, candidate, despite_refusal=True)


def test_a_night_at_work_is_not_anticipated(database: Database) -> None:
    with database.sessions.begin() as session:
        candidate = a_candidate(session, database, None)
        with pytest.raises(NotMovedError, match="is still at work on night-1"):
            promote(session, database, candidate, despite_refusal=True)


def test_a_decision_names_what_it_takes_for_live(database: Database) -> None:
    with database.sessions.begin() as session:
        shipped = live_name_of_new(session, database)
        candidate = a_candidate(session, database, Outcome.PROPOSED)
        with pytest.raises(LiveChangedError, match=f"{shipped} is live by now"):
            promote(session, database, candidate, expected_live="elsewhere")
        assert promote(session, database, candidate, expected_live=shipped)
        with pytest.raises(LiveChangedError, match="night-1 is live by now"):
            back(session, database, expected_live=shipped)
        assert back(session, database, expected_live="night-1") == shipped


def live_name_of_new(session: Session, database: Database) -> str:
    install_baseline(session, data_dir=database.settings.data_dir)
    return live_name(session)


def back(session: Session, database: Database, *, expected_live: str) -> str:
    user_id, settings = admin(session), database.settings
    return go_back(session, settings=settings, user_id=user_id, expected_live=expected_live).name


def test_what_cannot_be_read_does_not_go_live(database: Database) -> None:
    with database.sessions.begin() as session:
        a_version(session, name="baseline-0")
        candidate = a_candidate(session, database, Outcome.PROPOSED)
        (database.settings.data_dir / str(candidate.folder) / "network.bin").write_bytes(b"x")
        with pytest.raises(NotServableError):
            promote(session, database, candidate, despite_refusal=True)
        sound = a_candidate(session, database, Outcome.PROPOSED, "night-2")
        promote(session, database, sound)
        with pytest.raises(NotServableError, match="baseline-0 shipped with an earlier release"):
            back(session, database, expected_live="night-2")
        assert live_name(session) == "night-2"


def test_rejecting_is_an_answer_too(database: Database) -> None:
    with database.sessions.begin() as session:
        candidate = a_candidate(session, database, Outcome.PROPOSED)
        for _ in range(2):
            night = reject(session, candidate, user_id=admin(session))
            assert (night.answer, night.answered_by) == (Answer.REJECTED, admin(session))
        assert open_proposal(session) is None
        assert promote(session, database, candidate), "an admin may think again"
        with pytest.raises(NotMovedError, match="roll back instead"):
            reject(session, candidate, user_id=admin(session))
        shipped = back(session, database, expected_live="night-1")
        with pytest.raises(NotMovedError, match="was promoted already"):
            reject(session, candidate, user_id=admin(session))
        other = a_version(session, name="by hand", is_live=False)
        with pytest.raises(NotMovedError, match="nothing to reject"):
            reject(session, other, user_id=admin(session))
        assert live_name(session) == shipped
