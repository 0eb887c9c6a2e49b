"""Orphaned rows and files are named, and nothing else is."""

import io
import os
import time
from collections.abc import Callable

import pytest
from sqlalchemy import delete, update

from models.files.orphans import find_orphans
from models.tables.intake import Image, ModelVersion, State, Study
from pipeline.types import PREPROCESSING
from tests.support.data.rows import a_job, an_image
from tests.support.data.sites import Site
from tests.support.servers.databases import both_databases

Damage = Callable[[Site], None]


@pytest.fixture
def read(site: Site) -> Site:
    """An image is predicted, with all its files."""
    site.job(1)
    return site


def found(site: Site, *, age_s: float = 0.0) -> list[str]:
    return find_orphans(site.database.sessions, site.store, age_s=age_s)


def test_service_at_rest_has_no_orphans(read: Site) -> None:
    read.imported(3)
    read.job(5, state=State.RECEIVED)
    assert found(read) == []


def lose_stored_file(site: Site) -> None:
    ((_, _, stored),) = site.images()
    site.store.delete(str(stored), area="stored")


def lose_input(site: Site) -> None:
    site.store.discard_network_input(site.sha256(1), PREPROCESSING)


def leave_upload(site: Site) -> None:
    site.store.put(io.BytesIO(b"an upload without a row"))


def leave_stored_file(site: Site) -> None:
    site.store.put_bytes(b"a stored file without a row")


def misplace_stored_file(site: Site) -> None:
    ((_, _, stored),) = site.images()
    folder = site.store.root / "stored" / "zz"
    folder.mkdir()
    (folder / str(stored)).write_bytes(b"a stored file")


def leave_partial_file(site: Site) -> None:
    (site.store.root / "temporary" / "0").write_bytes(b"half")


def leave_study(site: Site) -> None:
    with site.database.sessions.begin() as session:
        session.add(Study(study_hash="lonely"))


def lose_version(site: Site) -> None:
    with site.database.sessions.begin() as session:
        session.add(ModelVersion(name="v2", folder="networks/v2", card={}))


def lose_prediction(site: Site) -> None:
    with site.database.sessions.begin() as session:
        session.execute(update(Image).values(sha256=site.sha256(2)))
    (network_input,) = site.store.paths("inputs", site.sha256(1))
    network_input.rename(network_input.with_name(site.sha256(2)))


def lose_upload(site: Site) -> None:
    with site.database.sessions.begin() as session:
        an_image(session, a_job(session))


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
def test_each_orphan_is_named(read: Site, damage: Damage, says: str) -> None:
    damage(read)
    assert [line for line in found(read) if says in line], found(read)


def test_files_without_rows_are_found_among_files_with_rows(site: Site) -> None:
    stored = [site.store.put_bytes(str(number).encode()).sha256 for number in range(40)]
    kept = set(sorted(stored)[::3])
    with site.database.sessions.begin() as session:
        for sha256 in kept:
            image = an_image(session, a_job(session), state=State.REJECTED)
            image.stored_sha256 = sha256
    assert found(site) == [
        f"stored/{sha256}: no row needs this file" for sha256 in sorted(set(stored) - kept)
    ]


@both_databases
def test_labels_and_fingerprints_without_image_are_named(read: Site) -> None:
    read.label(1)
    with read.database.sessions.begin() as session:
        session.execute(delete(Image))
    lines, sha256 = found(read), read.sha256(1)
    assert "label 1: no image has its hash" in lines
    assert f"fingerprint {sha256}: no image has its hash" in lines
    assert f"inputs/{sha256}: no row needs this file" in lines


def test_young_files_are_left_out(read: Site) -> None:
    old, _ = (read.store.put_bytes(content).sha256 for content in (b"old", b"young"))
    an_hour_ago = time.time() - 3600
    os.utime(read.store.path(old), (an_hour_ago, an_hour_ago))
    assert found(read, age_s=600) == [f"stored/{old}: no row needs this file"]
