"""A backup of a running service is restored, and both finish the job with equal results."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from models.audit.verify import verify
from models.files.orphans import find_orphans
from models.files.store import FileStore
from models.learning.promotion import production_history, promote, roll_back
from models.people.users import ADMIN, find_user
from models.tables.intake import FINAL_STATES, Image, Prediction, State
from models.tables.learning import Label
from pipeline.phantom.studies import write_phantom_studies
from tests.end_to_end.conftest import database_of
from tests.support.data.nights import a_trained_version
from tests.support.servers.service import Service, wait_until

pytestmark = pytest.mark.processes

# In one step no image waits between decoding and prediction; a backup must save those that do.
SETTINGS = {"one_step": "false"}
FIGURES = ("probability", "unfamiliarity", "heatmap_peak")


def images(service: Service, *states: State) -> int:
    with database_of(service) as database, database.sessions() as session:
        return len(session.scalars(select(Image).where(Image.state.in_(states))).all())


def orphans(service: Service) -> list[str]:
    with database_of(service) as database:
        return find_orphans(database.sessions, FileStore(database.settings.files_dir))


def results(service: Service) -> dict[int, dict[str, Any]]:
    printed = service.run("results", "--format", "jsonl").stdout
    return {row["image_id"]: row for row in map(json.loads, printed.splitlines())}


def files_of(service: Service) -> dict[str, bytes]:
    """Those that remain when every image is predicted."""
    folders = (service.data_dir / "files" / area for area in ("stored", "inputs"))
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path.name: path.read_bytes() for path in paths}


def promote_and_roll_back(service: Service) -> None:
    with database_of(service) as database, database.sessions.begin() as session:
        user = find_user(session, ADMIN)
        assert user is not None
        version = a_trained_version(session, database.settings)
        promote(session, version, user_id=user.id, reason="better")
        roll_back(session, user_id=user.id, reason="not better")


def test_backup_taken_during_a_job_restores_and_finishes_it(
    service: Service, tmp_path: Path
) -> None:
    first = write_phantom_studies(tmp_path / "read", studies=2)
    assert service.run("submit", tmp_path / "read", "--wait").returncode == 0
    table = tmp_path / "labels.csv"
    table.write_text(f"file,label\n{first[0].relative_to(tmp_path)},pneumonia\n")
    assert service.run("label", table).returncode == 0
    promote_and_roll_back(service)
    sent = write_phantom_studies(tmp_path / "at work", studies=20, seed=5)
    # One worker is suspended with a claim, the other works.
    service.find("-Q predict").suspend()
    assert service.run("submit", tmp_path / "at work").returncode == 0
    wait_until(lambda: images(service, State.READY), what="a decoded image")

    saved = service.run("backup", tmp_path / "kept")

    assert saved.returncode == 0, saved.stderr
    assert "warning" not in saved.stderr
    service.find("-Q predict").resume()
    restored = Service(tmp_path / "second")
    restored.folder.mkdir()
    said = restored.run("restore", tmp_path / "kept")
    assert said.returncode == 0, said.stderr
    assert images(restored, State.RECEIVED, State.READY), "saved during the job"
    total = len(first) + len(sent)
    try:
        restored.start()
        for one in (service, restored):
            wait_until(
                lambda one=one: images(one, *FINAL_STATES) == total,  # type: ignore[misc]
                what="end of job",
            )
        # An upload is deleted after its image is decoded.
        wait_until(lambda: not orphans(restored), what="no orphans")
        check_equal(service, restored)
    finally:
        restored.end()


def check_equal(service: Service, restored: Service) -> None:
    before, after = results(service), results(restored)
    assert {row["status"] for row in after.values()} == {"predicted"}
    assert after.keys() == before.keys()
    for number, row in after.items():
        figures = {name: pytest.approx(row[name], abs=1e-5) for name in FIGURES}
        assert row | figures == before[number] | {name: before[number][name] for name in FIGURES}
    assert files_of(restored) == files_of(service)
    with database_of(restored) as database, database.sessions() as session:
        answers = session.scalars(select(Prediction.sha256)).all()
        assert len(answers) == len(set(answers)) == len({row["sha256"] for row in after.values()})
        assert session.scalars(select(Label.value)).one() == "pneumonia"
        moves = [entry.reason for entry in production_history(session)]
        assert moves == ["not better", "better", "ships with the project"]
        assert verify(session).broken is None
