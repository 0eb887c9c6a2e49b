"""The snapshot page and what the API says of snapshots."""

import hashlib
from typing import Any

import pytest

from models.tables.learning import Night
from models.tables.people import Role
from pipeline.types import Split
from tests.support.data.labelled import NORMAL, PNEUMONIA, UNUSABLE, Archive, patient_of_split
from tests.support.data.rows import a_version
from tests.support.web.portal import Portal
from worker.night.snapshot import take_snapshot


@pytest.fixture
def archive(portal: Portal) -> Archive:
    return Archive(portal.context)


def api(portal: Portal, path: str) -> Any:
    answer = portal.program(Role.VIEWER).get(f"/api/v1/snapshots{path}")
    assert answer.status_code == 200
    return answer.json if answer.is_json else answer.text


def test_snapshot_page_shows_contents_and_exclusions(portal: Portal, archive: Archive) -> None:
    tested = patient_of_split(Split.TEST)
    shown = archive.site_image(value=PNEUMONIA, patient=tested, folder="ward 3")
    archive.imported_set("public", [(Split.TRAIN, tested, NORMAL), (Split.TRAIN, "anna", NORMAL)])
    archive.site_image(value=UNUSABLE)
    snapshot = take_snapshot(portal.context)
    with portal.database.sessions.begin() as session:
        version = a_version(session, name="night-7", is_live=False)
        session.add(Night(snapshot_id=snapshot.id, candidate_id=version.id))
    page = portal.browser(Role.VIEWER).get(f"/snapshots/{snapshot.id}").text

    for words in (
        "2 images of 2 patients",
        "1 image of train excluded: same patient in test.",
        "1 labelled unusable.",
        snapshot.digest,
        'href="/studies/1?image=1">ward 3</a>',
        "rita, reader · ",
        "imported, dataset public · ",
        "night-7",
    ):
        assert words in page, words
    assert "style=" not in page
    assert shown[:12] not in page, "a site image goes by its study's name"


def test_snapshot_images_are_filtered_and_paged(portal: Portal, archive: Archive) -> None:
    archive.imported_set("public", [(Split.TEST, f"patient {n}", NORMAL) for n in range(60)])
    archive.site_image(patient=patient_of_split(Split.TRAIN))
    path = f"/snapshots/{take_snapshot(portal.context).id}"
    client = portal.browser(Role.VIEWER)
    rows = {
        query: client.get(f"{path}?{query}").text.count('<th scope="row"><')
        for query in ("", "page=2", "split=train", "split=test&origin=site", "origin=public")
    }
    assert list(rows.values()) == [50, 11, 1, 0, 50]


def test_snapshot_digest_is_the_sha256_of_its_csv(portal: Portal, archive: Archive) -> None:
    of_site = archive.site_image(value=PNEUMONIA)
    archive.imported_set("public set 1.0", [(Split.TEST, "anna", NORMAL)])
    snapshot = take_snapshot(portal.context)
    text = api(portal, f"/{snapshot.id}/images.csv")

    assert hashlib.sha256(text.encode()).hexdigest() == snapshot.digest
    header, *lines = text.splitlines()
    assert header == "sha256,label,split,origin,patient_hash,label_id"
    assert [line.split(",")[0] for line in lines] == sorted(line.split(",")[0] for line in lines)
    (line,) = (line for line in lines if line.startswith(of_site))
    assert line.split(",")[1] == "pneumonia"
    assert portal.audit()[0].action == "snapshot.exported"


def test_snapshots_are_listed_newest_first(portal: Portal, archive: Archive) -> None:
    assert api(portal, "") == {"snapshots": [], "next": None}
    archive.site_image(patient=patient_of_split(Split.TRAIN))
    first = take_snapshot(portal.context)
    archive.site_image()
    second = take_snapshot(portal.context)
    found = api(portal, "")["snapshots"]
    assert [one["id"] for one in found] == [second.id, first.id]
    assert api(portal, f"/{first.id}") == found[1]
    assert (found[1]["digest"], found[1]["images"]) == (first.digest, 1)
    assert found[1]["origins"] == {"site": {"train": {"normal": 1, "patients": 1}}}
    assert "left_out_label_ids" not in found[1]
