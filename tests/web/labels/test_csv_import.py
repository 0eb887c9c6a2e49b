"""Tables of labels on their way in: which image a line means, and whose word it is."""

import logging
from typing import Any

import pytest

from models.config.secrets import read_or_make_secrets
from models.learning.labels import effective_labels
from models.tables.intake import Image
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
def films(portal: Portal) -> dict[str, str]:
    """Hashes by a short name. `twin` and `other twin` have the same file name."""
    files = {
        "one": "ward 3/p1/one.png",
        "twin": "ward 3/p1/twin.png",
        "other twin": "ward 4/p1/twin.png",
        "dicom": "ward 3/p2/film.dcm",
    }
    with portal.database.sessions.begin() as session:
        job = a_job(session)
        rows = {name: an_image(session, job, file=file) for name, file in files.items()}
        rows["dicom"].sop_instance_uid = pseudonymous_uid(key(portal), UID)
        an_image(session, a_job(session), file="again/one.png", content=files["one"])
        return {name: image.sha256 for name, image in rows.items()}


def key(portal: Portal) -> bytes:
    return read_or_make_secrets(portal.database.settings.data_dir).identity_key


def send(portal: Portal, table: str, role: Role = Role.READER, **options: Any) -> Any:
    given = {"data": table.encode(), "content_type": "text/csv"} | options
    return portal.program(role).post("/api/v1/labels/csv", **given)


def values(portal: Portal) -> dict[str, str]:
    with portal.database.sessions() as session:
        return {sha: label.value.value for sha, label in effective_labels(session).items()}


def said_of(portal: Portal, sha256: str) -> list[Label]:
    with portal.database.sessions() as session:
        return labels_of(session, sha256)


def test_rows_name_images_by_file_sha256_or_uid(portal: Portal, films: dict[str, str]) -> None:
    table = (
        "file,sha256,SOP Instance UID,label\n"
        "one.png,,,normal\n"
        f",{films['twin'].upper()},,pneumonia\n"
        "ward 4/p1/twin.png,,,unusable\n"
        f",,{UID},pneumonia\n"
    )
    assert send(portal, table).json == {
        "added": 4,
        "unchanged": 0,
        "problems": [],
        "ignored_columns": [],
    }
    assert values(portal) == {
        films["one"]: "normal",
        films["twin"]: "pneumonia",
        films["other twin"]: "unusable",
        films["dicom"]: "pneumonia",
    }
    assert send(portal, table).json["unchanged"] == 4


def test_ambiguous_and_unknown_images_are_reported_by_line(
    portal: Portal, films: dict[str, str]
) -> None:
    table = (
        "file,sha256,label\n"
        "twin.png,,normal\n"
        "p1/twin.png,,normal\n"
        "nowhere.png,,normal\n"
        f",{a_hash('no such film')},normal\n"
        f"one.png,{films['twin']},normal\n"
        f"twin.png,{films['twin']},normal\n"
        "one.png,,normal\n"
        "ward 3/p1/one.png,,pneumonia\n"
    )
    answer = send(portal, table).json
    assert [(problem["line"], problem["reason"]) for problem in answer["problems"]] == [
        (2, "2 images have this name; give the sha256"),
        (3, "2 images have this name; give the sha256"),
        (4, "no image has this file name"),
        (5, "no image has this sha256"),
        (6, "the columns name different images"),
        (9, "line 8 has another label for the same image"),
    ]
    assert answer["added"] == 2
    assert values(portal) == {films["twin"]: "normal", films["one"]: "normal"}


def test_label_has_the_role_of_its_reader_up_to_the_senders(
    portal: Portal, films: dict[str, str]
) -> None:
    with portal.database.sessions.begin() as session:
        a_user(session, name="adam", role=Role.ADMIN)
        a_user(session, name="vera", role=Role.VIEWER)
    readers = ["Adam", "VERA", "someone", ""]  # in other letters they are the same people
    named = list(zip(films.values(), readers, strict=True))
    rows = "".join(f"{film},normal,{reader}\n" for film, reader in named)
    answer = send(portal, f"sha256,label,reader\n{rows}", Role.OPERATOR).json
    assert [problem["line"] for problem in answer["problems"]] == [2]
    assert "higher role" in answer["problems"][0]["reason"]
    with portal.database.sessions() as session:
        labels = effective_labels(session)
    given = [(labels[film].reader, labels[film].role) for film, _ in named[1:]]
    assert given == [
        ("vera", Role.VIEWER),
        ("someone", Role.READER),
        ("a operator", Role.OPERATOR),
    ]


def test_patient_ids_are_stored_only_as_keyed_hashes(
    portal: Portal, films: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    send(portal, f"sha256,label,Patient ID\n{films['one']},normal,INVENTED-4711\n")
    (label,) = said_of(portal, films["one"])
    assert label.patient_hash == patient_pseudonym(key(portal), "INVENTED-4711")
    assert "INVENTED" not in caplog.text
    assert "one.png" not in caplog.text
    assert all("INVENTED" not in row.target for row in portal.audit())
    assert portal.audit()[0].target == "1 rows, 0 refused"


def test_old_table_does_not_override_newer_labels(portal: Portal, films: dict[str, str]) -> None:
    send(portal, f"sha256,label\n{films['one']},pneumonia\n")
    old = f"sha256,label,time\n{films['one']},normal,2026-01-02T12:00:00Z\n"
    assert send(portal, old).json["added"] == 1
    assert send(portal, old).json["unchanged"] == 1
    assert values(portal)[films["one"]] == "pneumonia"
    assert len(said_of(portal, films["one"])) == 2


def test_invalid_requests_import_no_labels(portal: Portal, films: dict[str, str]) -> None:
    answer = send(portal, "nothing of the kind")
    assert answer.status_code == 422
    assert answer.json["title"].startswith("expected a first line that names the columns")
    assert send(portal, "file,label\n", content_type="text/plain").status_code == 415
    assert send(portal, "", data=b"x" * (MAX_TABLE_BYTES + 1)).status_code == 413
    assert send(portal, "file,label\n", Role.VIEWER).status_code == 403
    assert values(portal) == {}


def test_file_names_of_refused_files_match_no_image(portal: Portal) -> None:
    with portal.database.sessions.begin() as session:
        image = an_image(session, a_job(session), file="huge.dcm")
        session.get_one(Image, image.id).sha256 = ""
    assert send(portal, "file,label\nhuge.dcm,normal\n").json["problems"][0]["line"] == 2


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
