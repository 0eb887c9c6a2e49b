"""Images predicted with an old version, to be predicted with the production version."""

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.config.settings import Settings
from models.context import AppContext
from models.learning.promotion import install_baseline, production_version
from models.reading.predictions import add_predictions
from models.reading.rereadings import (
    Chunk,
    claim_chunk,
    due_rereading,
    list_rereadings,
    request_rereading,
)
from models.tables import intake as tables
from models.tables.intake import Image, ModelVersion, State
from models.tables.people import Role
from pipeline.types import PREPROCESSING, OperatingPoint
from tests.support.data.rows import a_job, a_prediction, a_user, a_version, an_image, with_settings

POINT: OperatingPoint = "balanced"
IMAGES = 5


def read_before(context: AppContext) -> AppContext:
    """Images predicted with an old version, the shipped one in production, small chunks."""
    with context.sessions.begin() as session:
        old = a_version(session, name="old")
        job = a_job(session)
        images = [
            an_image(session, job, content=str(number), state=State.PREDICTED)
            for number in range(IMAGES)
        ]
        for image in images:
            add_answer(session, image.sha256, old)
        install_baseline(session, data_dir=context.settings.data_dir)
    put_inputs(context, images)
    return with_settings(context, chunk_size=2)


def add_answer(session: Session, sha256: str, version: ModelVersion) -> None:
    add_predictions(
        session,
        {sha256: a_prediction(model_version=version.name)},
        model_version_id=version.id,
        engine="a test",
    )


def put_inputs(context: AppContext, images: list[Image]) -> None:
    for number, image in enumerate(images):
        noise = np.random.default_rng(number).integers(0, 256, (224, 224), np.uint8)
        context.store.put_network_input(image.sha256, PREPROCESSING, noise)


def live_version(context: AppContext) -> ModelVersion:
    with context.sessions() as session:
        live = production_version(session)
    assert live is not None
    return live


def is_due(context: AppContext) -> bool:
    with context.sessions() as session:
        return due_rereading(session, operating_point=POINT) is not None


def ask(context: AppContext) -> None:
    with context.sessions.begin() as session:
        request_rereading(
            session,
            model_version_id=live_version(context).id,
            operating_point=POINT,
            user_id=a_user(session, role=Role.ADMIN).id,
        )


def answers(context: AppContext) -> dict[str, int]:
    """Number of predictions by version."""
    counted = (
        select(tables.ModelVersion.name, func.count().label("count"))
        .join(tables.Prediction, tables.Prediction.model_version_id == tables.ModelVersion.id)
        .group_by(tables.ModelVersion.id, tables.ModelVersion.name)
        .order_by(tables.ModelVersion.id)
    )
    with context.sessions() as session:
        return {row.name: row._mapping["count"] for row in session.execute(counted)}


def progress(context: AppContext) -> tuple[int, int, bool]:
    with context.sessions() as session:
        (one,) = list_rereadings(session)
    return one.done, one.total, one.rereading.finished_at is not None


def claim(context: AppContext) -> Chunk | None:
    with context.sessions.begin() as session:
        (one,) = list_rereadings(session)
        return claim_chunk(session, one.rereading.id, Settings(chunk_size=2))
