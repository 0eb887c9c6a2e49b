import hashlib
import tracemalloc

import pytest

from models.tables.intake import State
from models.tables.people import Role
from tests.support.web.portal import Portal, a_zip, send
from tests.support.web.sender import Sender
from web.http.forms import MAX_BODY, TAKES_FILES, clean_file_name, spooled_file


def test_file_becomes_one_row_and_its_bytes_are_stored(portal: Portal, a_png: bytes) -> None:
    answer = portal.send(portal.new_job(), ("folder/a.png", a_png))
    digest = hashlib.sha256(a_png).hexdigest()
    assert answer.json["files"] == [
        {"file": "folder/a.png", "sha256": digest, "status": "received", "reason": None}
    ]
    assert portal.context.store.path(digest, area="incoming").read_bytes() == a_png
    assert [image.size for image in portal.images()] == [len(a_png)]


def test_repeated_file_adds_no_row(portal: Portal, a_png: bytes) -> None:
    job = portal.new_job()
    portal.send(job, ("a.png", a_png))
    again = portal.send(job, ("a.png", a_png))
    assert again.status_code == 200
    assert len(again.json["files"]) == len(portal.images()) == 1


def test_bytes_of_a_predicted_image_are_not_stored_again(portal: Portal, a_dicom: bytes) -> None:
    job = portal.new_job()
    portal.send(job, ("a.dcm", a_dicom))
    portal.read_all()
    again = portal.send(job, ("a.dcm", a_dicom)).json["files"][0]
    assert again["status"] == "predicted"
    assert not portal.context.store.exists(again["sha256"], area="incoming")


def test_bytes_needed_by_another_image_are_kept(portal: Portal, a_dicom: bytes) -> None:
    job = portal.new_job()
    portal.send(job, ("a.dcm", a_dicom))
    portal.read_all()
    sent = portal.send(job, ("a.dcm", a_dicom), ("b.dcm", a_dicom)).json["files"]
    assert [file["status"] for file in sent] == ["predicted", "received"]
    assert portal.context.store.exists(sent[0]["sha256"], area="incoming")


def test_zip_is_unpacked_whatever_its_name(portal: Portal, a_png: bytes) -> None:
    packed = a_zip(
        ("s/a.png", a_png), ("s/b.txt", b"text"), ("__MACOSX/._a", b"?"), ("s/DICOMDIR", b"?")
    )
    answer = portal.send(portal.new_job(), ("studies.bin", packed)).json
    assert [file["file"] for file in answer["files"]] == [
        "studies.bin/s/a.png",
        "studies.bin/s/b.txt",
    ]


def test_equal_files_in_two_zips_are_two_images(portal: Portal, a_png: bytes) -> None:
    packed = a_zip(("p/a.png", a_png))
    job_id = portal.new_job()
    for name in ("one.zip", "two.zip"):
        portal.send(job_id, (name, packed))
    assert sorted(image.file for image in portal.images()) == ["one.zip/p/a.png", "two.zip/p/a.png"]


def test_form_marks_the_files_declared_before_as_arrived(sender: Sender) -> None:
    files = ("a.png", b"1"), ("x.zip", a_zip(("a.png", b"2"))), ("d/Thumbs.db", b"junk")
    sender.declare(*files, ("b.png", b"not sent"), ("a.png", b"other bytes of that name"))
    assert send(sender.client, sender.job, *files, ("undeclared.png", b"?")).status_code == 200
    assert sender.missing() == ["a.png", "b.png"]


def test_upload_without_files_is_an_error(portal: Portal) -> None:
    job = portal.new_job()
    assert portal.program().post(f"/api/v1/jobs/{job}/files").status_code == 422


def test_truncated_form_is_an_error(portal: Portal) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nabc'
    answer = portal.program().post(
        f"/api/v1/jobs/{portal.new_job()}/files",
        data=body,
        content_type="multipart/form-data; boundary=b",
    )
    assert answer.status_code == 400
    assert portal.images() == []


def test_closed_job_refuses_files(portal: Portal, a_png: bytes) -> None:
    job = portal.new_job()
    closed = portal.program().post(f"/api/v1/jobs/{job}/close", json={})
    assert closed.json["finished"] is True
    assert portal.send(job, ("a.png", a_png)).status_code == 409


def test_request_over_the_limit_is_413(portal: Portal, a_png: bytes) -> None:
    portal.app.config["MAX_CONTENT_LENGTH"] = 100
    answer = portal.send(portal.new_job(), ("a.png", a_png))
    assert answer.status_code == 413
    assert answer.json["status"] == 413


def test_only_file_uploads_may_be_large(portal: Portal) -> None:
    """The CSRF token is read from the form before the view runs."""
    form = {"content_type": "multipart/form-data; boundary=x", "data": b"--x--\r\n"}
    much = {"CONTENT_LENGTH": str(MAX_BODY + 1)}
    browser = portal.browser(Role.VIEWER)
    assert browser.post("/logout", **form).status_code == 400  # no proof
    assert browser.post("/logout", **form, environ_overrides=much).status_code == 413
    files = f"/api/v1/jobs/{portal.new_job()}/files"
    assert portal.program().post(files, **form, environ_overrides=much).status_code != 413
    assert TAKES_FILES in portal.app.view_functions


def test_form_parts_are_spooled_to_disk(portal: Portal) -> None:
    portal.program()  # fills caches first
    content = bytes(1_000_000)
    tracemalloc.start()
    with portal.app.test_request_context("/"):
        streams = [spooled_file(100 * len(content)) for _ in range(100)]
        for stream in streams:
            stream.write(content)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_large_part_is_stored_unchanged(portal: Portal) -> None:
    content = bytes(range(256)) * 40_000  # 10 MB with every kind of line ending
    (file,) = portal.send(portal.new_job(), ("large.bin", content)).json["files"]
    kept = portal.context.store.path(file["sha256"], area="incoming").read_bytes()
    assert kept == content
    assert portal.images()[0].state == State.RECEIVED


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("folder/a.dcm", "folder/a.dcm"),
        ("/etc/passwd", "etc/passwd"),
        ("../../etc/passwd", "etc/passwd"),
        ("C:\\scans\\a.dcm", "scans/a.dcm"),
        ("a/./b//c.png", "a/b/c.png"),
        ("nul\x00l\nline\x1b[31m.png", "nullline[31m.png"),
        ("right\u202eto\u202cleft.png", "righttoleft.png"),
        ("Müller 胸部.png", "Müller 胸部.png"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("../", "unnamed"),
    ],
)
def test_clean_file_name(raw: str, clean: str) -> None:
    assert clean_file_name(raw) == clean


def test_clean_file_name_keeps_the_end_of_long_names() -> None:
    name = clean_file_name("/".join(["folder" * 20] * 20) + "/last.dcm")
    assert len(name) <= 1024
    assert name.endswith("/last.dcm")
