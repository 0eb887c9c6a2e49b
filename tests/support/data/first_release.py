"""An installation of the first release: tables of migration 0001, and its data folder.

Rows are written by SQL, since the program's own tables are later ones.
"""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, MetaData, Table, select, text

from models.config.secrets import local_token_path, write_private
from models.config.settings import Settings
from models.files.store import FileStore
from models.operations.upgrade import migrate
from tests.support.data.rows import a_hash
from tests.support.data.uploads import a_png
from tests.support.data.versions import make_first_format

TIME = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOKEN = "an invented token of the first release"
JOB, OPEN_JOB = "a" * 32, "b" * 32
OWN = "our own network"
SECRETS = {
    "session_key": "s" * 43,
    "identity_key_hex": "ab" * 32,
    "broker_password": "p" * 32,
}
STATES = ("received", "ready", "predicted", "predicted", "rejected", "failed")

Rows = dict[str, list[dict[str, Any]]]


def install_first_release(settings: Settings, engine: Engine) -> None:
    migrate(engine, "0001")
    data_dir = settings.data_dir
    write_private(data_dir / "secrets.json", json.dumps(SECRETS))
    write_private(local_token_path(data_dir), TOKEN + "\n")
    make_first_format(data_dir / "networks" / OWN)
    insert(engine, _people())
    insert(engine, _versions())
    insert(engine, _jobs(data_dir))


def insert(engine: Engine, rows: Rows) -> None:
    """Insert rows into the tables as they are now."""
    with engine.begin() as connection:
        for name, some in rows.items():
            table = Table(name, MetaData(), autoload_with=engine)
            for row in some:
                connection.execute(table.insert(), row)
            if engine.dialect.name == "postgresql" and "id" in some[0] and name != "job":
                # Rows with explicit ids do not advance the sequence.
                last = f"SELECT setval('{name}_id_seq', {max(row['id'] for row in some)})"
                connection.execute(text(last))


def read_rows(engine: Engine) -> Rows:
    """Return all rows by table and column, as the database has them now."""
    known = MetaData()
    known.reflect(engine)
    with engine.connect() as connection:
        return {
            table.name: [
                dict(row)
                for row in connection.execute(
                    select(table).order_by(*table.primary_key.columns)
                ).mappings()
            ]
            for table in known.sorted_tables
            if table.name != "alembic_version"
        }


def upload_of(number: int) -> bytes:
    return a_png(seed=number)


def _people() -> Rows:
    common = {"is_active": True, "created_at": TIME}
    roles = (("admin", "admin"), ("olga", "operator"), ("vera", "viewer"))
    users = [
        {"id": number, "name": name, "role": role, **common}
        for number, (name, role) in enumerate(roles, start=1)
    ]
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    used = {"id": 2, "user_id": 1, "kind": "login", "digest": a_hash("link"), "used_at": TIME}
    tokens = [
        {"id": 1, "user_id": 1, "kind": "api", "digest": digest, "created_at": TIME},
        {**used, "created_at": TIME, "expires_at": TIME},
    ]
    said = (("login", ""), ("job.created", JOB), ("study.viewed", "1"))
    audits = [
        {"id": number, "user_id": 2, "action": action, "target": target, "created_at": TIME}
        for number, (action, target) in enumerate(said, start=1)
    ]
    return {"user": users, "token": tokens, "audit": audits}


def _versions() -> Rows:
    """The second one's card says little."""
    shipped = {"model_version": "baseline-1", "temperature": 1.67, "threshold": 0.41, "format": 1}
    own = {"model_version": OWN}
    versions = [
        {"id": 1, "name": "baseline-1", "folder": None, "card": shipped, "created_at": TIME},
        {"id": 2, "name": OWN, "folder": f"networks/{OWN}", "card": own, "created_at": TIME},
    ]
    moves = ((2, 1, "to try it"), (1, None, "ships with the project"))
    aliases = [
        {"id": number, "model_version_id": version, "user_id": user_id, "reason": reason}
        for number, (version, user_id, reason) in enumerate(reversed(moves), start=1)
    ]
    fixed = {"name": "production", "created_at": TIME}
    return {"model_version": versions, "model_alias": [one | fixed for one in aliases]}


def _jobs(data_dir: Path) -> Rows:
    named = {"name": "a folder", "user_id": 2, "created_at": TIME}
    jobs = [{"id": JOB, "closed_at": TIME, **named}, {"id": OPEN_JOB, **named}]
    studies = [
        {"id": 1, "study_hash": a_hash("uid"), "patient_hash": a_hash("patient")},
        {"id": 2, "study_hash": a_hash("folder"), "folder": "a folder"},
    ]
    images = [_image(FileStore(data_dir / "files"), *one) for one in enumerate(STATES, start=1)]
    answered = [image for image in images if image["state"] == "predicted"]
    predictions = [
        prediction(number, image["sha256"], version)
        for number, (image, version) in enumerate(
            ((answered[0], 1), (answered[0], 2), (answered[1], 1)), start=1
        )
    ]
    dated = [one | {"created_at": TIME} for one in studies]
    return {"job": jobs, "study": dated, "image": images, "prediction": predictions}


def _image(store: FileStore, number: int, state: str) -> dict[str, Any]:
    content = upload_of(number)
    sha256 = hashlib.sha256(content).hexdigest()
    row: dict[str, Any] = {
        "id": number,
        "job_id": OPEN_JOB if state == "received" else JOB,
        "file": f"a folder/Müller {number}.png",
        "sha256": sha256,
        "size": len(content),
        "state": state,
        "created_at": TIME,
        "attempts": int(state in ("ready", "predicted")),
        "finished_at": TIME if state in ("predicted", "rejected", "failed") else None,
    }
    if state == "received":
        store.put_bytes(content, area="incoming")
    if state in ("rejected", "failed"):
        return row | {"reason": "not an image"}
    return row | _read(store, number, sha256) if state != "received" else row


def _read(store: FileStore, number: int, sha256: str) -> dict[str, Any]:
    network_input = store.root / "inputs" / "1" / sha256[:2] / sha256
    network_input.parent.mkdir(parents=True, exist_ok=True)
    network_input.write_bytes(bytes([number]) * 224 * 224)  # not sealed
    return {
        "study_id": 1 + number % 2,
        "media_type": "image/png",
        "stored_sha256": store.put_bytes(upload_of(100 + number)).sha256,
        "rows": 96,
        "columns": 128,
        "tags": {"Modality": "DX"},
        "warnings": ["colour picture"],
    }


def prediction(number: int, sha256: str, version: int) -> dict[str, Any]:
    heatmap = np.linspace(0, 1, 49, dtype="<f2").tobytes()
    return {
        "id": number,
        "sha256": sha256,
        "model_version_id": version,
        "logit": 1.5,
        "probability": 0.7,
        "threshold": 0.41,
        "finding": "pneumonia",
        "unfamiliarity": 0.1,
        "warnings": ["dark"],
        "heatmap": heatmap,
        "heatmap_rows": 7,
        "heatmap_columns": 7,
        "heatmap_peak": 3.0,
        "engine": "openvino",
        "created_at": TIME,
    }
