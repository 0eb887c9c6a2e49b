"""Purges over the API."""

import pytest
from flask.testing import FlaskClient

from models.files.deletion_lock import hold_deletions
from models.files.orphans import find_orphans
from models.tables.people import Role
from tests.support.data.uploads import a_png
from tests.support.web.portal import Portal

PURGES = "/api/v1/purges"


@pytest.fixture
def admin(portal: Portal) -> FlaskClient:
    return portal.program(Role.ADMIN)


def a_read_job(portal: Portal, *seeds: int) -> str:
    job_id = portal.new_job()
    files = [(f"folder/{seed}.png", a_png(seed=seed)) for seed in seeds]
    assert portal.send(job_id, *files).status_code == 200
    portal.read_all()
    return job_id


def test_dry_run_counts_what_a_purge_deletes(portal: Portal, admin: FlaskClient) -> None:
    job_id, other = a_read_job(portal, 1, 2), a_read_job(portal, 2)
    refused = admin.post(PURGES, json={"job_id": job_id, "dry_run": False}).json
    assert (refused["purged"], refused["done"]) == (0, True), "the job is open"
    plan = admin.post(PURGES, json={"job_id": job_id}).json
    assert (plan["counts"]["unended"], plan["counts"]["images"]) == (1, 0)
    for one in (job_id, other):
        portal.program().post(f"/api/v1/jobs/{one}/close", json={})

    plan = admin.post(PURGES, json={"job_id": job_id}).json
    counts = {name: plan["counts"][name] for name in ("jobs", "images", "kept")}
    assert counts == {"jobs": 1, "images": 2, "kept": 0}
    assert len(portal.images()) == 3
    done = admin.post(PURGES, json={"job_id": job_id, "dry_run": False}).json
    assert (done["purged"], done["done"]) == (2, True)

    assert [image.job_id for image in portal.images()] == [other]
    assert find_orphans(portal.context.sessions, portal.context.store) == []
    assert admin.post(PURGES, json={"job_id": job_id}).status_code == 404
    assert portal.audit()[0].target == f"{job_id}: 2 images, the last"


def test_purge_by_age_waits_for_a_backup(portal: Portal, admin: FlaskClient) -> None:
    job_id, other = a_read_job(portal, 1), a_read_job(portal, 2)
    portal.program().post(f"/api/v1/jobs/{job_id}/close", json={})
    assert set(admin.post(PURGES, json={"older_than_days": 1}).json["counts"].values()) == {0}
    ended = {"older_than_days": 0}
    counts = admin.post(PURGES, json=ended).json["counts"]
    assert (counts["jobs"], counts["images"], counts["unended"]) == (1, 1, 1)
    with hold_deletions(portal.context.store.root):
        refused = admin.post(PURGES, json=ended | {"dry_run": False})
    assert refused.status_code == 409
    assert "a backup is running" in refused.json["title"]
    assert len(portal.images()) == 2
    assert admin.post(PURGES, json=ended | {"dry_run": False}).json["purged"] == 1
    assert [image.job_id for image in portal.images()] == [other]


@pytest.mark.parametrize("body", [{}, {"job_id": "x", "older_than_days": 1}, {"job_id": 5}])
def test_purge_requires_exactly_one_criterion(
    portal: Portal, admin: FlaskClient, body: object
) -> None:
    assert admin.post(PURGES, json=body).status_code == 422
