"""Builders of rows and of their values."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import numpy as np
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models.base import now
from models.context import AppContext
from models.intake.images import NewImage, add_images
from models.intake.jobs import create_job
from models.intake.terms import Sighting, count_terms, list_terms
from models.learning.promotion import production_version, set_production
from models.people.users import find_user, make_user
from models.tables.intake import Image, Job, ModelVersion, State
from models.tables.people import Role, User
from models.tables.terms import UnknownTerm
from pipeline.types import Finding, HeatmapTrust, OperatingPoint, Prediction
from tests.support.servers.databases import Database


def a_user(session: Session, *, name: str = "olga", role: Role = Role.OPERATOR) -> User:
    return find_user(session, name) or make_user(session, name=name, role=role)


def a_job(session: Session, *, name: str = "a folder") -> Job:
    user_id = a_user(session).id
    job_id, _ = create_job(session, name=name, user_id=user_id, key=uuid4().hex)
    return session.get_one(Job, job_id)


def a_term(
    session: Session, value: str = "SNARK", *, keyword: str = "BodyPartExamined"
) -> UnknownTerm:
    """As three patients' images state it."""
    sightings = [Sighting(keyword, value, patient) for patient in ("anna", "ben", "carl")]
    count_terms(session, sightings, key=b"an invented key")
    return next(term for term in list_terms(session) if term.value == value)


def a_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def an_image(
    session: Session,
    job: Job,
    *,
    file: str = "",
    content: str = "",
    state: State = State.RECEIVED,
) -> Image:
    """content: stands for its bytes; equal contents have equal hashes."""
    file = file or f"folder/{uuid4().hex}.png"
    new = NewImage(file, a_hash(content or file), 1000)
    (image,) = add_images(session, job_id=job.id, new=[new])
    image.state = state
    session.flush()
    return image


def some_images(
    session: Session, count: int, *, state: State = State.RECEIVED, job: Job | None = None
) -> list[Image]:
    job, first = job or a_job(session), uuid4().hex
    files = [f"folder/{first}-{number:06}.png" for number in range(count)]
    new = [NewImage(file, a_hash(file), 1000) for file in files]
    images = add_images(session, job_id=job.id, new=new)
    for image in images:
        image.state = state
    session.flush()
    return images


def a_version(session: Session, *, name: str = "v1", is_live: bool = True) -> ModelVersion:
    version = ModelVersion(name=name, folder=None, card={"model_version": name})
    session.add(version)
    session.flush()
    if is_live:
        set_production(session, version, reason="for a test")
    return version


def live_version(session: Session) -> ModelVersion:
    live = production_version(session)
    assert live is not None
    return live


def a_prediction(
    *,
    probability: float = 0.9,
    finding: Finding | None = "pneumonia",
    reason: str | None = None,
    model_version: str = "v1",
    threshold: float = 0.5,
    operating_point: OperatingPoint = "balanced",
    warnings: tuple[str, ...] = (),
    inside_body: float = 0.9,
) -> Prediction:
    heatmap = np.linspace(0, 3, 49, dtype=np.float32).reshape(7, 7)
    return Prediction(
        logit=1.5,
        probability=probability,
        threshold=threshold,
        operating_point=operating_point,
        temperature=1.5,
        finding=finding,
        unfamiliarity=0.1,
        reason=reason,
        warnings=warnings,
        heatmap=heatmap,
        heatmap_trust=HeatmapTrust(peak=3.0, concentration=0.2, inside_body=inside_body),
        model_version=model_version,
    )


def move_leases(session: Session, **by: float) -> None:
    """Every lease ends later, as if it had been taken before the clock was set back."""
    for image in session.scalars(select(Image).where(Image.leased_until.is_not(None))):
        assert image.leased_until is not None
        image.leased_until += timedelta(**by)
    session.flush()


def lapse_leases(session: Session) -> None:
    """Let every lease lapse."""
    session.execute(
        update(Image)
        .where(Image.leased_until.is_not(None))
        .values(leased_until=now() - timedelta(seconds=1))
    )


def all_images(session: Session) -> list[Image]:
    """As the database has them, also where statements changed them."""
    rows = select(Image).order_by(Image.id).execution_options(populate_existing=True)
    return list(session.scalars(rows))


def images_in(opened: AppContext | Database) -> list[Image]:
    with opened.sessions() as session:
        return all_images(session)


def with_settings(context: AppContext, **changed: Any) -> AppContext:
    return replace(context, settings=context.settings.model_copy(update=changed))
