"""Importing label tables: the image of a row and the reader of its label."""

import logging
from typing import Any

import pytest

from models.config.secrets import read_secrets
from models.learning.labels import valid_labels
from models.tables.learning import Label, LabelValue
from models.tables.people import Role
from pipeline.limits import MAX_TABLE_BYTES
from pipeline.pseudonym import patient_pseudonym, pseudonymous_uid
from tests.support.data.labelled import labels_of
from tests.support.data.rows import a_hash, a_job, a_user, an_image
from tests.support.web.portal import Portal
from web.http.export import csv_line

UID = "1.2.840.99999.1"


@pytest.fixture
def images(portal: Portal) -> dict[str, str]:
    """sha256 by a short name. `same` and `other same` have the same file name."""
    files = {
        "one": "ward 3/p1/one.png",
        "same": "ward 3/p1/same.png",
        "other same": "ward 4/p1/same.png",
        "dicom": "ward 3/p2/image.dcm",
    }
    with portal.database.sessions.begin() as session:
        job = a_job(session)
        rows = {name: an_image(session, job, file=file) for name, file in files.items()}
        rows["dicom"].sop_instance_uid = pseudonymous_uid(key(portal), UID)
        an_image(session, a_job(session), file="again/one.png", content=files["one"])
        return {name: image.sha256 for name, image in rows.items()}


def key(portal: Portal) -> bytes:
    return read_secrets(portal.database.settings.data_dir).identity_key


def send(portal: Portal, table: str, role: Role = Role.READER, **options: Any) -> Any:
    request = {"data": table.encode(), "content_type": "text/csv"} | options
    return portal.program(role).post("/api/v1/labels/csv", **request)


def values(portal: Portal) -> dict[str, str]:
    with portal.database.sessions() as session:
        return {sha: label.value.value for sha, label in valid_labels(session).items()}


def labels_for(portal: Portal, sha256: str) -> list[Label]:
    with portal.database.sessions() as session:
        return labels_of(session, sha256)


def test_rows_name_images_by_file_sha256_or_uid(portal: Portal, images: dict[str, str]) -> None:
    table = (
        "file,sha256,SOP Instance UID,label\n"
        "one.png,,,normal\n"
        f",{images['same'].upper()},,pneumonia\n"
        "ward 4/p1/same.png,,,unusable\n"
        f",,{UID},pneumonia\n"
    )
    answer = send(portal, table).json
    nothing: dict[str, list[Any]] = {"problems": [], "ignored_columns": [], "notes": []}
    assert answer == {"added": 4, "unchanged": 0, "encoding": "UTF-8"} | nothing
    assert values(portal) == {
        images["one"]: "normal",
        images["same"]: "pneumonia",
        images["other same"]: "unusable",
        images["dicom"]: "pneumonia",
    }
    assert send(portal, table).json["unchanged"] == 4


def test_ambiguous_and_unknown_images_are_reported_by_line(
    portal: Portal, images: dict[str, str]
) -> None:
    table = (
        "file,sha256,label\n"
        "same.png,,normal\n"
        "p1/same.png,,normal\n"
        "nowhere.png,,normal\n"
        f",{a_hash('no such image')},normal\n"
        f"one.png,{images['same']},normal\n"
        f"same.png,{images['same']},normal\n"
    )
    answer = send(portal, table).json
    assert [(problem["line"], problem["reason"]) for problem in answer["problems"]] == [
        (2, "2 images have this name; give the sha256"),
        (3, "2 images have this name; give the sha256"),
        (4, "no image has this file name"),
        (5, "no image has this sha256"),
        (6, "the columns name different images"),
    ]
    assert answer["added"] == 1
    assert values(portal) == {images["same"]: "normal"}


def test_copies_count_once_and_contradictory_rows_not_at_all(
    portal: Portal, images: dict[str, str]
) -> None:
    table = (
        "file,sha256,label,time,reader\n"
        "one.png,,normal,,\n"
        f",{images['same']},normal,,\n"
        "ward 3/p1/one.png,,pneumonia,,\n"
        "ward 3/p1/same.png,,0.0,,\n"
        f",{images['other same']},normal,2026-01-01,\n"
        f",{images['other same']},pneumonia,2026-01-02,\n"
        f",{images['dicom']},normal,,rita\n"
        f",{images['dicom']},pneumonia,,anna\n"
    )
    answer = send(portal, table).json
    reason = "another row has another label for the same image"
    assert answer["problems"] == [{"line": 2, "reason": reason}, {"line": 4, "reason": reason}]
    assert answer["notes"] == [
        "1 copy of other images not counted: row 3 = row 5",
        "1 image with contradictory labels left out: row 2 = row 4",
    ]
    assert (answer["added"], answer["unchanged"]) == (5, 1)
    assert images["one"] not in values(portal)


def test_control_and_latin_1_characters_in_names(portal: Portal) -> None:
    names = ["a\ufffd09b.png", "M\ufffdFCller.png", "cd.png"]  # the last: by an earlier release
    with portal.database.sessions.begin() as session:
        job = a_job(session)
        hashes = [an_image(session, job, file=name).sha256 for name in names]
    table = 'sep=;\nfile;label\n"a\tb.png";1\nMüller.png;1\n"c\nd.png";1\n'
    answer = send(portal, "", data=table.encode("cp1252")).json
    assert (answer["problems"], answer["encoding"]) == ([], "Windows-1252")
    assert "read as Windows-1252" in answer["notes"][0]
    assert values(portal) == dict.fromkeys(hashes, "pneumonia")


def test_label_has_the_role_of_its_reader_up_to_the_senders(
    portal: Portal, images: dict[str, str]
) -> None:
    with portal.database.sessions.begin() as session:
        a_user(session, name="adam", role=Role.ADMIN)
        a_user(session, name="vera", role=Role.VIEWER)
    readers = ["Adam", "VERA", "someone", ""]  # names ignore case
    named = list(zip(images.values(), readers, strict=True))
    rows = "".join(f"{image},normal,{reader}\n" for image, reader in named)
    answer = send(portal, f"sha256,label,reader\n{rows}", Role.OPERATOR).json
    assert [problem["line"] for problem in answer["problems"]] == [2]
    assert "higher role" in answer["problems"][0]["reason"]
    with portal.database.sessions() as session:
        labels = valid_labels(session)
    stored = [(labels[image].reader, labels[image].role) for image, _ in named[1:]]
    assert stored == [("vera", "viewer"), ("someone", "reader"), ("a operator", "operator")]


def test_patient_ids_are_stored_only_as_keyed_hashes(
    portal: Portal, images: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    send(portal, f"sha256,label,Patient ID\n{images['one']},normal,INVENTED-4711\n")
    (label,) = labels_for(portal, images["one"])
    assert label.patient_hash == patient_pseudonym(key(portal), "INVENTED-4711")
    assert "INVENTED" not in caplog.text
    assert "one.png" not in caplog.text
    assert all("INVENTED" not in row.target for row in portal.audit())
    assert portal.audit()[0].target == "1 rows, 0 refused"


def test_old_table_does_not_override_newer_labels(portal: Portal, images: dict[str, str]) -> None:
    send(portal, f"sha256,label\n{images['one']},pneumonia\n")
    old = f"sha256,label,time\n{images['one']},normal,2026-01-02T12:00:00Z\n"
    assert send(portal, old).json["added"] == 1
    assert send(portal, old).json["unchanged"] == 1
    assert values(portal)[images["one"]] == "pneumonia"
    assert len(labels_for(portal, images["one"])) == 2


def test_invalid_requests_import_no_labels(portal: Portal, images: dict[str, str]) -> None:
    answer = send(portal, "not a table")
    assert answer.status_code == 422
    assert "expected a first line that names the columns" in answer.json["title"]
    assert send(portal, "file,label\n", content_type="text/plain").status_code == 415
    assert send(portal, "", data=b"x" * (MAX_TABLE_BYTES + 1)).status_code == 413
    assert values(portal) == {}


def test_guarded_file_names_from_results_match_their_images(portal: Portal) -> None:
    names = ["=x.png", "'=y.png", "'s-Hertogenbosch/z.png"]
    with portal.database.sessions.begin() as session:
        job = a_job(session)
        hashes = [an_image(session, job, file=name).sha256 for name in names]
    table = "".join(csv_line(row) for row in (["file", "label"], *([n, "normal"] for n in names)))
    assert "'=x.png" in table
    assert send(portal, table).json["problems"] == []
    assert values(portal) == dict.fromkeys(hashes, "normal")


def test_thousands_of_rows_are_imported(portal: Portal) -> None:
    with portal.database.sessions.begin() as session:
        job = a_job(session)
        for number in range(30):
            an_image(session, job, file=f"a/{number}.png")
    rows = "".join(f"{number % 40}.png;1;r{number // 40}\r\n" for number in range(4000))
    answer = send(portal, f"\ufefffile;label;reader\r\n{rows}").json
    assert (answer["added"], answer["unchanged"], len(answer["problems"])) == (3000, 0, 1000)
    assert answer["problems"][0] == {"line": 32, "reason": "no image has this file name"}
    assert set(values(portal).values()) == {LabelValue.PNEUMONIA.value}
