"""Promotions, roll-backs and rejections by admins."""

from typing import Any

import pytest
from sqlalchemy.orm import Session

from models.learning.promotion import (
    GateObjectionError,
    install_baseline,
    open_proposal,
    production_history,
    production_version,
    promote_as_admin,
    reject_candidate,
    roll_back_as_admin,
)
from models.learning.versions import PromotionError
from models.tables.intake import ModelVersion
from models.tables.learning import Answer, Outcome
from models.tables.people import Role
from tests.support.data.nights import SAID, a_night, a_trained_version
from tests.support.data.rows import a_user, a_version, live_version
from tests.support.servers.databases import Database

REFUSAL = SAID[Outcome.REFUSED]


def a_candidate(
    session: Session, database: Database, outcome: Outcome | None, name: str = "night-1"
) -> ModelVersion:
    """The newest night's candidate; without a production version the shipped network is that."""
    if production_version(session) is None:
        install_baseline(session, data_dir=database.settings.data_dir)
    candidate = a_trained_version(session, database.settings, name)
    a_night(session, outcome, candidate=candidate)
    return candidate


def admin(session: Session) -> int:
    return a_user(session, name="ada", role=Role.ADMIN).id


def promote(session: Session, database: Database, version: ModelVersion, **options: Any) -> bool:
    user_id = admin(session)
    return promote_as_admin(
        session, version, settings=database.settings, user_id=user_id, **options
    )


def test_promoting_a_proposal_answers_its_night(session: Session, database: Database) -> None:
    candidate = a_candidate(session, database, Outcome.PROPOSED)
    proposal = open_proposal(session)
    assert proposal is not None
    assert promote(session, database, candidate)
    assert (proposal.answer, proposal.answered_by) == (Answer.PROMOTED, admin(session))
    assert proposal.answered_at is not None
    assert open_proposal(session) is None
    assert live_version(session).name == "night-1"
    newest = production_history(session)[0]
    assert newest.reason == f"proposed by night {proposal.id}: {SAID[Outcome.PROPOSED]}"
    assert not promote(session, database, candidate), "it is live already"


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (Outcome.REFUSED, REFUSAL),
        (Outcome.FAILED, "ended before the gate decided: it stopped its worker 3 times"),
    ],
)
def test_promotion_against_the_gate_must_be_explicit(
    session: Session, database: Database, outcome: Outcome, sentence: str
) -> None:
    candidate = a_candidate(session, database, outcome)
    with pytest.raises(GateObjectionError, match=sentence):
        promote(session, database, candidate, reason="I know better")
    assert live_version(session).name != "night-1"
    assert promote(session, database, candidate, reason="I know better", despite_refusal=True)
    newest = production_history(session)[0]
    assert newest.reason.startswith("I know better (against the gate: ")
    assert sentence in newest.reason


def test_comparison_with_an_earlier_production_version_is_an_objection(
    session: Session, database: Database
) -> None:
    candidate = a_candidate(session, database, Outcome.PROPOSED)
    other = a_candidate(session, database, Outcome.PROPOSED, "night-2")
    promote(session, database, other)
    with pytest.raises(GateObjectionError, match=r"night-1 was compared with .+, but night-2 is"):
        promote(session, database, candidate)
    assert promote(session, database, candidate, despite_refusal=True)


def test_candidate_of_a_running_night_is_not_promoted(session: Session, database: Database) -> None:
    candidate = a_candidate(session, database, None)
    with pytest.raises(PromotionError, match="is still running for night-1"):
        promote(session, database, candidate, despite_refusal=True)


def test_expected_version_must_still_be_live(session: Session, database: Database) -> None:
    install_baseline(session, data_dir=database.settings.data_dir)
    shipped = live_version(session).name
    candidate = a_candidate(session, database, Outcome.PROPOSED)
    with pytest.raises(PromotionError, match=f"version {shipped} is live now"):
        promote(session, database, candidate, expected_live="elsewhere")
    assert promote(session, database, candidate, expected_live=shipped)
    with pytest.raises(PromotionError, match="version night-1 is live now"):
        back(session, database, expected_live=shipped)
    assert back(session, database, expected_live="night-1") == shipped


def back(session: Session, database: Database, *, expected_live: str) -> str:
    user_id, settings = admin(session), database.settings
    return roll_back_as_admin(
        session, settings=settings, user_id=user_id, expected_live=expected_live
    ).name


def test_unservable_version_is_not_promoted(session: Session, database: Database) -> None:
    a_version(session, name="baseline-0")
    candidate = a_candidate(session, database, Outcome.PROPOSED)
    (database.settings.data_dir / str(candidate.folder) / "network.bin").write_bytes(b"x")
    with pytest.raises(PromotionError, match="night-1 cannot be read"):
        promote(session, database, candidate, despite_refusal=True)
    sound = a_candidate(session, database, Outcome.PROPOSED, "night-2")
    promote(session, database, sound)
    with pytest.raises(PromotionError, match="baseline-0 was shipped with an earlier release"):
        back(session, database, expected_live="night-2")
    assert live_version(session).name == "night-2"


def test_reject_candidate(session: Session, database: Database) -> None:
    candidate = a_candidate(session, database, Outcome.PROPOSED)
    for _ in range(2):
        night = reject_candidate(session, candidate, user_id=admin(session))
        assert (night.answer, night.answered_by) == (Answer.REJECTED, admin(session))
    assert open_proposal(session) is None
    assert promote(session, database, candidate), "an admin may think again"
    with pytest.raises(PromotionError, match="roll back instead"):
        reject_candidate(session, candidate, user_id=admin(session))
    shipped = back(session, database, expected_live="night-1")
    with pytest.raises(PromotionError, match="was promoted already"):
        reject_candidate(session, candidate, user_id=admin(session))
    other = a_version(session, name="by hand", is_live=False)
    with pytest.raises(PromotionError, match="nothing to reject"):
        reject_candidate(session, other, user_id=admin(session))
    assert live_version(session).name == shipped
