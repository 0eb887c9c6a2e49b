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
from models.learning.snapshots import SITE, Member, freeze
from models.reading.studies import NewStudy, get_or_create_studies
from models.tables.intake import Image, ModelVersion, Prediction, State, Upload
from models.tables.learning import Fingerprint, ImportedDataset, ImportedImage, Label, Source
from pipeline.types import Split
from tests.support.data.labelled import PNEUMONIA
from tests.support.data.rows import a_hash, a_job, a_user, a_version
from tests.support.servers.databases import Database

HEATMAP = {"heatmap": b"", "heatmap_rows": 1, "heatmap_columns": 1, "heatmap_peak": 0.0}
ANSWER = {"logit": 0.0, "probability": 0.5, "threshold": 0.5, "operating_point": "balanced"}


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
        session.add(image)
        if state != State.PREDICTED:
            self.store.put(io.BytesIO(f"{number}".encode()))
            image.created_at = now()
            return
        study = NewStudy(f"study {job_id} {number % 2}")
        image.study_id = get_or_create_studies(session, [study])[study.study_hash]
        image.stored_sha256 = self.store.put_bytes(f"picture {number // 2}".encode()).sha256
        self._read(session, sha256)

    def _read(self, session: Session, sha256: str) -> None:
        self.store.put_network_input(sha256, "1", np.zeros((224, 224), np.uint8))
        if session.scalar(select(Prediction).where(Prediction.sha256 == sha256)) is None:
            version = session.scalars(select(ModelVersion)).first() or a_version(session)
            answer = {**ANSWER, **HEATMAP, "unfamiliarity": 0.0, "warnings": [], "engine": "test"}
            session.add(Prediction(sha256=sha256, model_version_id=version.id, **answer))
            self._fingerprint(session, sha256)
        session.flush()

    def _fingerprint(self, session: Session, sha256: str) -> None:
        key = {"sha256": sha256, "preprocessing": "1"}
        if session.get(Fingerprint, key) is None:
            session.add(Fingerprint(**key, input_sha256="0", perceptual_hash="0"))

    def label(self, *contents: int) -> None:
        with self.database.sessions.begin() as session:
            user_id, when = a_user(session).id, now()
            for number in contents:
                said = {"value": PNEUMONIA, "reader": "rita", "source": Source.PORTAL}
                row = Label(sha256=self.sha256(number), user_id=user_id, read_at=when, **said)
                session.add(row)

    def snapshot(self, *contents: int) -> None:
        with self.database.sessions.begin() as session:
            rows = select(Label.sha256, func.max(Label.id)).group_by(Label.sha256)
            labels = dict(session.execute(rows).all())
            hashes = [self.sha256(number) for number in contents]
            members = [
                Member(one, PNEUMONIA, Split.TEST, SITE, "p", labels[one])
                for one in hashes
                if one in labels
            ]
            freeze(session, members, report={})

    def imported(self, *contents: int) -> None:
        with self.database.sessions.begin() as session:
            user_id = a_user(session).id
            row = ImportedDataset(name="a set", has_own_splits=True, user_id=user_id, report={})
            session.add(row)
            session.flush()
            for number in contents:
                sha256, fixed = self.sha256(number), {"patient_hash": "p", "split": Split.TRAIN}
                session.add(ImportedImage(dataset_id=row.id, sha256=sha256, file="f", **fixed))
                self.store.put_network_input(sha256, "1", np.zeros((224, 224), np.uint8))
                self._fingerprint(session, sha256)

    @staticmethod
    def sha256(number: int) -> str:
        return a_hash(str(number))

    def purge(self, job_id: str) -> None:
        while not purge_step(self.database.sessions, self.store, job_id, user_id=None).is_last:
            pass

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
        paths = (path for area in areas for path in (self.store.root / area).rglob("*"))
        return {str(path.relative_to(self.store.root)) for path in paths if path.is_file()}

    def empty(self) -> None:
        with self.database.engine.begin() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                connection.execute(table.delete())
        shutil.rmtree(self.store.root, ignore_errors=True)
