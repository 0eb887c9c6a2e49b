"""Files sent as a form, and what is stored of any file."""

import tracemalloc

import pytest

from models.tables.people import Role
from tests.support.web.portal import Portal, a_zip, send
from tests.support.web.sender import Sender, digest
from web.http.forms import clean_file_name, spooled_file
from web.http.limits import SMALL_BODY


def test_files_of_a_form_are_stored_unchanged_and_once(portal: Portal, a_png: bytes) -> None:
    job = portal.new_job()
    large = bytes(range(256)) * 40_000  # 10 MB with every kind of line ending
    files = [("folder/a.png", a_png), ("large.bin", large)]
    for _ in range(2):
        answer = portal.send(job, *files)
        assert answer.json["files"] == [
            {"file": name, "sha256": digest(content), "status": "received", "reason": None}
            for name, content in files
        ]
    for image, (_, content) in zip(portal.images(), files, strict=True):
        assert image.size == len(content)
        assert portal.context.store.path(image.sha256, area="incoming").read_bytes() == content


def test_bytes_of_a_predicted_image_are_stored_again_only_for_another(
    portal: Portal, a_dicom: bytes
) -> None:
    job, store = portal.new_job(), portal.context.store
    portal.send(job, ("a.dcm", a_dicom))
    portal.read_all()
    again = portal.send(job, ("a.dcm", a_dicom)).json["files"][0]
    assert again["status"] == "predicted"
    assert not store.exists(again["sha256"], area="incoming")
    sent = portal.send(job, ("a.dcm", a_dicom), ("b.dcm", a_dicom)).json["files"]
    assert [file["status"] for file in sent] == ["predicted", "received"]
    assert store.exists(sent[0]["sha256"], area="incoming")


def test_zip_is_unpacked_into_a_folder_of_its_own_name(portal: Portal, a_png: bytes) -> None:
    packed = a_zip(
        ("s/a.png", a_png), ("s/b.txt", b"text"), ("__MACOSX/._a", b"?"), ("s/DICOMDIR", b"?")
    )
    answer = portal.send(portal.new_job(), ("studies.bin", packed), ("two.zip", packed)).json
    assert [file["file"] for file in answer["files"]] == [
        "studies.bin/s/a.png",
        "studies.bin/s/b.txt",
        "two.zip/s/a.png",
        "two.zip/s/b.txt",
    ]


def test_form_marks_the_files_declared_before_as_arrived(sender: Sender) -> None:
    files = ("a.png", b"1"), ("x.zip", a_zip(("a.png", b"2"))), ("d/Thumbs.db", b"junk")
    sender.declare(*files, ("b.png", b"not sent"), ("a.png", b"other bytes of that name"))
    assert send(sender.client, sender.job, *files, ("undeclared.png", b"?")).status_code == 200
    assert sender.missing() == ["a.png", "b.png"]


def test_form_without_files_or_its_end_is_an_error(portal: Portal) -> None:
    client, url = portal.program(), f"/api/v1/jobs/{portal.new_job()}/files"
    assert client.post(url).status_code == 422
    body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nabc'
    answer = client.post(url, data=body, content_type="multipart/form-data; boundary=b")
    assert answer.status_code == 400
    assert portal.images() == []


def test_only_file_uploads_may_be_large(portal: Portal) -> None:
    """The CSRF token is read from the form before the view runs."""
    form = {"content_type": "multipart/form-data; boundary=x", "data": b"--x--\r\n"}
    much = {"CONTENT_LENGTH": str(SMALL_BODY + 1)}
    browser = portal.browser(Role.VIEWER)
    assert browser.post("/logout", **form).status_code == 400  # no proof
    assert browser.post("/logout", **form, environ_overrides=much).status_code == 413
    files = f"/api/v1/jobs/{portal.new_job()}/files"
    assert portal.program().post(files, **form, environ_overrides=much).status_code != 413
    portal.app.config["MAX_CONTENT_LENGTH"] = SMALL_BODY
    assert portal.program().post(files, **form, environ_overrides=much).json["status"] == 413


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


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("folder/a.dcm", "folder/a.dcm"),
        ("/etc/passwd", "etc/passwd"),
        ("../../etc/passwd", "etc/passwd"),
        ("C:\\scans\\a.dcm", "scans/a.dcm"),
        ("a/./b//c.png", "a/b/c.png"),
        ("nul\x00l\nline\x1b[31m.png", "nul\ufffd00l\ufffd0Aline\ufffd1B[31m.png"),
        ("turned\u202e.png", "turned\ufffdE2\ufffd80\ufffdAE.png"),
        ("latin\udce9.png", "latin\ufffdE9.png"),
        ("latin\ufffdE9.png", "latin\ufffdE9.png"),
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
