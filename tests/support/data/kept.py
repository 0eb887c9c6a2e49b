"""A service's history in rows and files: everything that must come back from a backup."""

import io
from datetime import timedelta
from typing import Any

import numpy as np
from sqlalchemy import Engine, select

from models.audit.log import record
from models.base import now, stored_tables
from models.context import AppContext
from models.learning.datasets import add_fingerprints
from models.learning.promotion import promote, roll_back
from models.learning.snapshots import SITE, Member, freeze
from models.reading.predictions import add_predictions
from models.reading.studies import NewStudy, get_or_create_studies
from models.tables import learning as learning_tables  # noqa: F401  adds its tables to the metadata
from models.tables.intake import Image, State, Study, Upload
from models.tables.learning import Label
from models.tables.people import Lockout
from models.worklist.summaries import summarise
from pipeline.types import Split
from tests.support.data.labelled import NORMAL, PNEUMONIA, Archive
from tests.support.data.nights import a_night, a_trained_version
from tests.support.data.rows import a_job, a_prediction, a_user


def fill_history(context: AppContext, *, name: str = "a folder") -> str:
    """Returns the id of a job with images in every state, of which a worker holds two."""
    archive = Archive(context)
    archive.imported_set("a public set", [(Split.TRAIN, "p", NORMAL), (Split.TEST, "q", PNEUMONIA)])
    with context.sessions.begin() as session:
        job = a_job(session, name=name)
        user_id = a_user(session).id
        version = a_trained_version(session, context.settings)
        promote(session, version, user_id=user_id, reason="better")
        roll_back(session, user_id=user_id, reason="it was not")
        session.add(Lockout(name_hash="0" * 64, failures=2, failed_at=now()))
        session.add(Upload(job_id=job.id, file="arrived.png", size=9, received=9, arrived_at=now()))
        session.add(Upload(job_id=job.id, file="on its way.zip", size=2**33, received=2**32))
        record(session, user_id=user_id, action="job.created", target=job.id)
    for number, state in enumerate(State):
        by = version.id if state == State.PREDICTED else None
        an_image_in(context, job.id, state, number=number, version_id=by)
    read = an_image_in(context, job.id, State.PREDICTED, number=7, version_id=version.id)
    archive.label(read, PNEUMONIA, patient_hash="p" * 64)
    with context.sessions.begin() as session:
        label = session.scalars(select(Label).where(Label.sha256 == read)).one()
        members = [Member(read, PNEUMONIA, Split.TEST, SITE, "p" * 64, label.id)]
        snapshot = freeze(session, members, report={"images": 1, "naïve": None})
        a_night(session, None, candidate=version, snapshot_id=snapshot.id, **a_claim())
        add_fingerprints(session, {read: ("1" * 64, "2" * 64)}, preprocessing="1")
    forget_newest_study(context)
    return str(job.id)


def forget_newest_study(context: AppContext) -> None:
    """As a purge does: its id is never given out again."""
    with context.sessions.begin() as session:
        study = Study(study_hash="forgotten")
        session.add(study)
        session.flush()
        session.delete(study)


def a_claim() -> dict[str, Any]:
    return {"attempts": 1, "leased_by": "someone", "leased_until": now() + timedelta(minutes=2)}


def an_image_in(
    context: AppContext, job_id: str, state: State, *, number: int, version_id: int | None = None
) -> str:
    """With the files and rows that such an image has; returns its content's hash."""
    upload = context.store.put(io.BytesIO(f"upload {job_id} {number}".encode()))
    is_read = state in (State.READY, State.PREDICTED)
    with context.sessions.begin() as session:
        image = Image(job_id=job_id, file=f"ä/{number}.png", sha256=upload.sha256, size=9)
        image.state = state
        image.tags, image.warnings = {"Modality": "DX"}, ["a warning"]
        if state in (State.RECEIVED, State.READY):
            image.attempts, image.leased_by, image.leased_until = a_claim().values()
        if is_read:
            new = NewStudy(f"study {job_id} {number}", folder="ä")
            image.study_id = get_or_create_studies(session, [new])[new.study_hash]
            image.stored_sha256 = context.store.put_bytes(f"picture {number}".encode()).sha256
        session.add(image)
        session.flush()
        if image.study_id is not None:
            summarise(session, [image.study_id])
        if version_id is not None:
            answers = {upload.sha256: a_prediction(warnings=("dark",))}
            add_predictions(session, answers, model_version_id=version_id, engine="a test")
    if is_read:
        pixels = np.full((224, 224), number, np.uint8)
        context.store.put_network_input(upload.sha256, "1", pixels)
    if state in (State.READY, State.PREDICTED, State.REJECTED):
        context.store.delete(upload.sha256)
    return upload.sha256


def all_rows(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """By table, in the order of their keys."""
    with engine.connect() as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in stored_tables()
        }
