"""Pages of the work list, walked in both directions, are the whole list in its order."""

import random
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.tables.intake import Study
from models.tables.worklist import StudyFinding, StudySummary
from models.worklist.order import Listing, Order, count_studies, studies_from
from tests.support.servers.databases import both_databases

TIME = datetime(2026, 3, 1, tzinfo=UTC)
KEYS = {"probability": "score", "created_at": "created_at", "label": "label", "images": "images"}


def fill(session: Session, *, scopes: tuple[str, ...] = ("", "a job")) -> None:
    chance = random.Random(7)
    for number in range(1, 40):
        session.add(Study(id=number, study_hash=f"{number}"))
    session.flush()
    for number, scope in product(range(1, 40), scopes):
        finding = chance.choice(list(StudyFinding))
        with_ties = chance.choice([0.2, 0.5, 0.7])
        score = -1.0 if finding == StudyFinding.NONE else with_ties
        moment, label = TIME + timedelta(seconds=chance.randrange(9)), chance.choice("aàBbä")
        values: dict[str, Any] = {"finding": finding, "score": score, "created_at": moment}
        values |= {"label": label, "images": chance.randrange(3), "predicted": 0}
        if chance.random() < 0.9:
            session.add(StudySummary(study_id=number, scope=scope, **values))
    session.flush()


def walk(session: Session, listing: Listing, *, backwards: bool = False) -> list[int]:
    found: list[int] = []
    while some := studies_from(
        session, listing, study_id=found[-1] if found else None, backwards=backwards, limit=4
    ):
        found += some
    return found


@both_databases
def test_pages_are_the_whole_list_in_order(session: Session) -> None:
    fill(session)
    for order, descending, finding, job in product(
        get_args(Order), (True, False), (None, *StudyFinding), (None, "a job")
    ):
        listing = Listing(order, descending, finding, job)
        key = getattr(StudySummary, KEYS[order])
        which = [StudySummary.scope == (job or "")]
        which += [StudySummary.finding == finding] if finding else []
        way = (lambda column: column.desc()) if descending else (lambda column: column.asc())
        last = StudySummary.finding == StudyFinding.NONE
        ends = (last,) if order == "probability" else ()
        ids = select(StudySummary.study_id).where(*which)
        expected = list(session.scalars(ids.order_by(*ends, way(key), way(StudySummary.study_id))))
        assert walk(session, listing) == expected
        assert walk(session, listing, backwards=True) == expected[::-1]
        assert count_studies(session, listing) == len(expected)
        if len(expected) > 5:
            start = expected[3]
            found = studies_from(session, listing, study_id=start, including=True, limit=2)
            assert found == expected[3:5]
            assert studies_from(session, listing, skip=4, limit=2) == expected[4:6]


def test_list_begins_at_its_start_where_a_study_is_not_in_it(session: Session) -> None:
    fill(session)
    listing = Listing(finding=StudyFinding.NORMAL)
    assert studies_from(session, listing, study_id=99, limit=3) == walk(session, listing)[:3]
