"""Evaluations: metrics of one version on one snapshot's test images, stored once."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.query import insert_new
from models.tables.learning import Evaluation, Night


def add_evaluation(
    session: Session,
    figures: Mapping[str, Any],
    *,
    model_version_id: int,
    snapshot_id: int,
    origin: str,
) -> None:
    """An existing evaluation stays as it is."""
    key = {"model_version_id": model_version_id, "snapshot_id": snapshot_id, "origin": origin}
    insert_new(session, Evaluation, [{**key, "figures": dict(figures)}])


def figures_of_night(session: Session, night: Night) -> dict[str, dict[str, Mapping[str, Any]]]:
    """By the test images' origin, then "candidate" or "production"."""
    kinds = {night.candidate_id: "candidate", night.production_id: "production"}
    wanted = select(Evaluation).where(
        Evaluation.snapshot_id == night.snapshot_id,
        Evaluation.model_version_id.in_([one for one in kinds if one is not None]),
    )
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in session.scalars(wanted.order_by(Evaluation.id)):
        found.setdefault(row.origin, {})[kinds[row.model_version_id]] = row.figures
    return found


def evaluations_of(session: Session, version_id: int) -> list[Evaluation]:
    """Newest first."""
    wanted = select(Evaluation).where(Evaluation.model_version_id == version_id)
    return list(session.scalars(wanted.order_by(Evaluation.id.desc())))
