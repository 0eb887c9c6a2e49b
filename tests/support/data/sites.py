"""Jobs, labels and snapshots of contents that they share."""

import io
import shutil
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.base import Base, now
from models.files.purge import WhichJobs, next_purgeable, purge_step
from models.files.store import FileStore
from models.learning.datasets import add_fingerprints
from models.learning.snapshots import SITE, Member, freeze
from models.reading.predictions import add_predictions
from models.reading.studies import NewStudy, get_or_create_studies
from models.tables.intake import Image, ModelVersion, State, Upload
from models.tables.learning import Label, Source
from pipeline.types import Split
from tests.support.data.labelled import PNEUMONIA, a_dataset
from tests.support.data.rows import a_hash, a_job, a_prediction, a_user, a_version
from tests.support.data.uploads import files_in
from tests.support.servers.databases import Database


@dataclass(frozen=True)
class Site:
    """Numbers stand for files; two with equal halves (n // 2) share the stored file."""

    database: Database
    store: FileStore

    def job(self, *contents: int, state: State = State.PREDICTED, is_closed: bool = True) -> str:
        with self.database.sessions.begin() as session:
            job = a_job(session)
            job.closed_at = now() if is_closed else None
            session.add(Upload(job_id=job.id, file="u", size=1, received=1, arrived_at=now()))
            for number in contents:
                self._image(session, job.id, number, state)
        return str(job.id)

    def _image(self, session: Session, job_id: str, number: int, state: State) -> None:
        sha256 = self.sha256(number)
        image = Image(job_id=job_id, file=f"{number}.png", sha256=sha256, size=1, state=state)
        if state == State.PREDICTED:
            study = NewStudy(f"study {job_id} {number % 2}")
            image.study_id = get_or_create_studies(session, [study])[study.study_hash]
            image.stored_sha256 = self.store.put_bytes(f"picture {number // 2}".encode()).sha256
            version = session.scalars(select(ModelVersion)).first() or a_version(session)
            answer = {sha256: a_prediction()}
            add_predictions(session, answer, model_version_id=version.id, engine="test")
            self._learn(session, sha256)
        else:
            self.store.put(io.BytesIO(f"{number}".encode()))
        session.add(image)
        session.flush()

    def _learn(self, session: Session, sha256: str) -> None:
        self.store.put_network_input(sha256, "1", np.zeros((224, 224), np.uint8))
        add_fingerprints(session, {sha256: ("0", "0")}, preprocessing="1")

    def label(self, *contents: int) -> None:
        with self.database.sessions.begin() as session:
            by = {"reader": "rita", "user_id": a_user(session).id, "source": Source.PORTAL}
            said = {"value": PNEUMONIA, "read_at": now(), **by}
            session.add_all(Label(sha256=self.sha256(number), **said) for number in contents)

    def snapshot(self, *contents: int) -> None:
        """Of those that have a label."""
        with self.database.sessions.begin() as session:
            hashes = [self.sha256(number) for number in contents]
            labels = select(Label.sha256, func.max(Label.id)).where(Label.sha256.in_(hashes))
            members = [
                Member(sha256, PNEUMONIA, Split.TEST, SITE, "p", label_id)
                for sha256, label_id in session.execute(labels.group_by(Label.sha256))
            ]
            freeze(session, members, report={})

    def imported(self, *contents: int) -> None:
        hashes = [self.sha256(number) for number in contents]
        with self.database.sessions.begin() as session:
            a_dataset(session, "a set", *({"sha256": sha256} for sha256 in hashes))
            for sha256 in hashes:
                self._learn(session, sha256)

    @staticmethod
    def sha256(number: int) -> str:
        return a_hash(str(number))

    def purge(self, job_id: str) -> None:
        purge_step(self.database.sessions, self.store, job_id, user_id=None)

    def is_left(self, which: WhichJobs) -> bool:
        with self.database.sessions() as session:
            return next_purgeable(session, which) is not None

    def images(self) -> set[tuple[str, str, str | None]]:
        """Job, content and stored file of each."""
        with self.database.sessions() as session:
            rows = session.execute(select(Image.job_id, Image.sha256, Image.stored_sha256))
            return {(job_id, sha256, stored) for job_id, sha256, stored in rows}

    def files(self) -> set[str]:
        areas = ("incoming", "stored", "inputs")
        paths = (path for area in areas for path in files_in(self.store, area))
        return {str(path.relative_to(self.store.root)) for path in paths}

    def empty(self) -> None:
        with self.database.engine.begin() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                connection.execute(table.delete())
        shutil.rmtree(self.store.root, ignore_errors=True)
