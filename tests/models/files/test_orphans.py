"""Orphaned rows and files are named, and nothing else is."""

import io
import os
import time
from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import delete, select, update

from models.context import AppContext
from models.files.orphans import find_orphans
from models.files.store import FileStore
from models.reading.predictions import add_predictions
from models.reading.studies import NewStudy, get_or_create_studies
from models.tables.intake import Image, ModelVersion, State, Study
from models.tables.learning import Fingerprint
from tests.support.data.labelled import Archive
from tests.support.data.rows import a_hash, a_job, a_prediction, a_version, an_image
from tests.support.servers.databases import both_databases

Damage = Callable[[AppContext, Image], None]


def read_image(context: AppContext) -> Image:
    """Predicted, with all its files."""
    stored = context.store.put_bytes(b"a stored file")
    with context.sessions.begin() as session:
        version = a_version(session)
        image = an_image(session, a_job(session), content="c", state=State.PREDICTED)
        image.study_id = get_or_create_studies(session, [NewStudy("s")])["s"]
        image.stored_sha256 = stored.sha256
        add_predictions(
            session, {image.sha256: a_prediction()}, model_version_id=version.id, engine="test"
        )
    context.store.put_network_input(image.sha256, "1", np.zeros((224, 224), np.uint8))
    return image


def found(context: AppContext) -> list[str]:
    return find_orphans(context.sessions, context.store)


def test_service_at_rest_has_no_orphans(context: AppContext) -> None:
    read_image(context)
    archive = Archive(context)
    (imported,) = archive.imported_set("a set", [("train", "p", "normal")])  # type: ignore[list-item]
    waiting = context.store.put(io.BytesIO(b"waiting"))
    with context.sessions.begin() as session:
        image = an_image(session, a_job(session))
        image.sha256 = waiting.sha256
        session.add(
            Fingerprint(
                sha256=imported, preprocessing="1", input_sha256=imported, perceptual_hash="0"
            )
        )
    assert found(context) == []


def lose_stored_file(context: AppContext, image: Image) -> None:
    assert image.stored_sha256 is not None
    context.store.delete(image.stored_sha256, area="stored")


def lose_input(context: AppContext, image: Image) -> None:
    next((context.store.root / "inputs").rglob(image.sha256)).unlink()


def leave_upload(context: AppContext, _: Image) -> None:
    context.store.put(io.BytesIO(b"an upload without a row"))


def leave_stored_file(context: AppContext, _: Image) -> None:
    context.store.put_bytes(b"a stored file without a row")


def misplace_stored_file(context: AppContext, image: Image) -> None:
    folder = context.store.root / "stored" / "zz"
    folder.mkdir()
    (folder / str(image.stored_sha256)).write_bytes(b"a stored file")


def leave_partial_file(context: AppContext, _: Image) -> None:
    (context.store.root / "temporary" / "0").write_bytes(b"half")


def leave_study(context: AppContext, _: Image) -> None:
    with context.sessions.begin() as session:
        session.add(Study(study_hash="lonely"))


def lose_version(context: AppContext, _: Image) -> None:
    with context.sessions.begin() as session:
        session.add(ModelVersion(name="v2", folder="networks/v2", card={}))


def lose_prediction(context: AppContext, image: Image) -> None:
    with context.sessions.begin() as session:
        session.execute(update(Image).values(sha256=a_hash("other")))
    network_input = next((context.store.root / "inputs").rglob(image.sha256))
    network_input.rename(network_input.with_name(a_hash("other")))


def lose_upload(context: AppContext, _: Image) -> None:
    with context.sessions.begin() as session:
        an_image(session, a_job(session), content="missing")


@both_databases
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lose_stored_file, "image 1 (predicted): its stored file is gone"),
        (lose_input, "image 1 (predicted): its network input is gone"),
        (lose_upload, "image 2 (received): its upload is gone"),
        (leave_upload, "no row needs this file"),
        (leave_stored_file, "no row needs this file"),
        (misplace_stored_file, "no row needs this file"),
        (leave_partial_file, "temporary/0: no row needs this file"),
        (leave_study, "study 2: it has no image"),
        (lose_version, "model version v2: its folder is gone"),
        (lose_prediction, "prediction 1: no image has its hash"),
        (lose_prediction, "image 1: it is predicted, but has no prediction"),
    ],
)
def test_each_orphan_is_named(context: AppContext, damage: Damage, says: str) -> None:
    image = read_image(context)
    damage(context, image)
    assert [line for line in found(context) if says in line], found(context)


def test_files_without_rows_are_found_among_files_with_rows(context: AppContext) -> None:
    stored = [context.store.put_bytes(str(number).encode()).sha256 for number in range(40)]
    kept = set(sorted(stored)[::3])
    with context.sessions.begin() as session:
        for sha256 in kept:
            image = an_image(session, a_job(session), state=State.REJECTED)
            image.stored_sha256 = sha256
    loose = sorted(set(stored) - kept)
    assert [line for line in found(context) if line.startswith("stored/")] == [
        f"stored/{sha256}: no row needs this file" for sha256 in loose
    ]


def test_labels_and_fingerprints_without_image_are_named(context: AppContext) -> None:
    sha256 = Archive(context).site_image()
    with context.sessions.begin() as session:
        session.add(
            Fingerprint(sha256=sha256, preprocessing="1", input_sha256="0", perceptual_hash="0")
        )
        session.execute(delete(Image))
    lines = found(context)
    assert "label 1: no image has its hash" in lines
    assert f"fingerprint {sha256}: no image has its hash" in lines
    assert f"inputs/{sha256}: no row needs this file" in lines


def test_young_files_are_left_out(context: AppContext) -> None:
    read_image(context)
    old = FileStore(context.store.root).put_bytes(b"old").sha256
    an_hour_ago = time.time() - 3600
    os.utime(context.store.path(old), (an_hour_ago, an_hour_ago))
    context.store.put_bytes(b"young")
    lines = find_orphans(context.sessions, context.store, age_s=600)
    assert lines == [f"stored/{old}: no row needs this file"]
    with context.sessions() as session:
        assert session.scalar(select(Image.state)) == State.PREDICTED
