"""A portal on a real database, and the results of workers for its uploads."""

import hashlib
import io
import re
import zipfile
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select

from models.audit.log import list_audit
from models.base import now
from models.context import AppContext
from models.intake.claims import Claim
from models.people.tokens import issue_token
from models.reading.predictions import record_predictions
from models.reading.studies import NewStudy, get_or_create_studies
from models.tables.intake import Audit, Image, ModelVersion, State
from models.tables.people import Role
from models.worklist.summaries import summarise
from pipeline.prepare.prepare import prepare
from pipeline.types import PREPROCESSING
from tests.support.data.rows import a_prediction, a_user, a_version
from tests.support.servers.databases import Database
from web.context import KEY as CONTEXT

KEY = b"invented key of thirty-two bytes"


@dataclass(frozen=True)
class Portal:
    database: Database
    app: APIFlask
    context: AppContext

    def token(self, role: Role = Role.OPERATOR, *, kind: Any = "api", **options: Any) -> str:
        with self.database.sessions.begin() as session:
            user = a_user(session, name=f"a {role.value}", role=role)
            return issue_token(session, user=user, kind=kind, **options)

    def program(self, role: Role = Role.OPERATOR) -> FlaskClient:
        return self.client_with(self.token(role))

    def client_with(self, token: str) -> FlaskClient:
        client = self.app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    def browser(self, role: Role = Role.OPERATOR) -> FlaskClient:
        """A client logged in by a one-time link."""
        client = self.app.test_client()
        assert follow_link(client, self.token(role, kind="login")).status_code == 303
        return client

    def new_job(self, name: str = "a folder") -> str:
        answer = self.program().post("/api/v1/jobs", json={"name": name})
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])

    def send(self, job_id: str, *files: tuple[str, bytes]) -> Any:
        return send(self.program(), job_id, *files)

    def change_settings(self, **changes: Any) -> None:
        settings = self.context.settings.model_copy(update=changes)
        self.app.extensions[CONTEXT] = replace(self.context, settings=settings)

    def images(self) -> list[Image]:
        with self.database.sessions() as session:
            return list(session.scalars(select(Image).order_by(Image.id)))

    def audit(self) -> list[Audit]:
        with self.database.sessions() as session:
            return list_audit(session)

    def read_all(self, **answer: Any) -> None:
        """Read and predict every received image, with the given prediction."""
        for image in self.images():
            if image.state == State.RECEIVED:
                self._read(image)
                self._predict(image.id, **answer)

    def go_live(self, name: str) -> None:
        with self.database.sessions.begin() as session:
            a_version(session, name=name)

    def _read(self, image: Image) -> None:
        store = self.context.store
        prepared = prepare(store.path(image.sha256, area="incoming"), key=KEY)
        stored = prepared.stored
        assert stored is not None
        store.put_network_input(image.sha256, PREPROCESSING, prepared.network_input)
        folder = str(PurePosixPath(image.file).parent)
        uid = stored.study_uid_hash
        study = NewStudy(
            study_hash=uid or hashlib.sha256(f"{image.job_id}{folder}".encode()).hexdigest(),
            folder=None if uid else folder,
        )
        with self.database.sessions.begin() as session:
            row = session.get_one(Image, image.id)
            row.study_id = get_or_create_studies(session, [study])[study.study_hash]
            row.stored_sha256 = store.put_bytes(stored.blob).sha256
            row.rows, row.columns, row.tags = prepared.rows, prepared.columns, prepared.tags
            row.range_rule, row.pixel_aspect = prepared.range_rule, prepared.pixel_aspect
            row.state, row.media_type = State.READY, stored.media_type
            row.warnings = list(prepared.warnings)
            summarise(session, [row.study_id])
        store.delete(image.sha256, area="incoming")

    def _predict(self, image_id: int, **answer: Any) -> None:
        with self.database.sessions.begin() as session:
            version = session.scalars(select(ModelVersion)).first() or a_version(session)
            row = session.get_one(Image, image_id)
            row.leased_by, row.leased_until = "a claim", now() + timedelta(minutes=1)
            session.flush()
            claim = Claim("a claim", State.READY, (row,))  # type: ignore[arg-type]
            predictions = {row.sha256: a_prediction(model_version=version.name, **answer)}
            record_predictions(
                session, claim, predictions, model_version_id=version.id, engine="test"
            )


def proof(client: Any, path: str = "/login", **options: Any) -> str:
    """The CSRF token of the form at that path. client: of Flask, Werkzeug or httpx."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path, **options).text)
    assert found is not None
    return found[1]


def follow_link(client: FlaskClient, token: str, *, path: str = "/login/link", **more: str) -> Any:
    """What the page of a one-time link posts."""
    return client.post(path, data={"csrf_token": proof(client, path), "token": token} | more)


def send(client: FlaskClient, job_id: str, *files: tuple[str, bytes], **options: Any) -> Any:
    parts = [(io.BytesIO(content), name) for name, content in files]
    return client.post(f"/api/v1/jobs/{job_id}/files", data={"files": parts}, **options)


def a_zip(*files: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return target.getvalue()
