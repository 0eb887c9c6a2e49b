"""Declared files sent in chunks, with interruptions between the chunks."""

import io

import pytest

from models.files.partial import PartialFiles
from models.intake.uploads import advance
from tests.support.data.uploads import a_png, files_in
from tests.support.servers.databases import both_databases
from tests.support.web.portal import a_zip
from tests.support.web.sender import Sender, digest


def test_file_sent_in_chunks_becomes_an_image(sender: Sender) -> None:
    content = a_png()
    (upload,) = sender.declare(("d/a.png", content))
    half = len(content) // 2
    first = sender.chunk(upload, 0, content[:half])
    assert first.headers["Upload-Offset"] == str(half)
    assert (first.json["received"], first.json["arrived"]) == (half, False)
    last = sender.chunk(upload, half, content[half:])
    assert last.json["arrived"]
    assert [file["status"] for file in last.json["files"]] == ["received"]
    (image,) = sender.portal.images()
    assert (image.file, image.sha256, image.size) == ("d/a.png", digest(content), len(content))
    store = sender.portal.context.store
    assert store.path(image.sha256, area="incoming").read_bytes() == content
    assert sender.partial_files() == []
    assert sender.show()["missing"] == 0
    audited = [row.action for row in sender.portal.audit()]
    again = sender.chunk(upload, len(content), b"").json
    assert sorted(audited) == ["files.declared", "files.received", "job.created"]
    assert (again["received"], again["arrived"]) == (len(content), True)
    assert [row.action for row in sender.portal.audit()] == audited


def test_chunks_continue_from_what_is_on_disk_and_counted(sender: Sender) -> None:
    content = a_png()
    (upload,) = sender.declare(("a.png", content))
    sender.chunk(upload, 0, content[:100])
    (sender.portal.context.store.root / "partial" / str(upload["id"])).unlink()
    refused = sender.chunk(upload, 100, content[100:])
    assert (refused.status_code, refused.headers["Upload-Offset"]) == (409, "0")
    sender.chunk(upload, 0, content[:100])
    with PartialFiles(sender.portal.context.store).hold(upload["id"]) as partial:
        # As after a kill between the write and the update of the row.
        partial.append(io.BytesIO(b"other bytes"), at=100, max_bytes=99)
    assert sender.chunk(upload, 100, content[100:]).json["arrived"]
    assert [image.sha256 for image in sender.portal.images()] == [digest(content)]


@both_databases
@pytest.mark.parametrize("hashed", [True, False])
def test_upload_finishes_after_a_kill_before_the_row(sender: Sender, hashed: bool) -> None:
    """All bytes are stored and counted; only the image row is missing."""
    content = a_png()
    (upload,) = sender.declare(("a.png", content), hashed=hashed)
    store = sender.portal.context.store
    with PartialFiles(store).hold(upload["id"]) as partial:
        partial.append(io.BytesIO(content), at=0, max_bytes=len(content))
        store.adopt(partial.path, digest(content))
    with sender.portal.database.sessions.begin() as session:
        assert advance(session, upload["id"], before=0, received=len(content))
    assert sender.show()["missing"] == 1
    assert sender.chunk(upload, len(content), b"").json["arrived"]
    assert [image.sha256 for image in sender.portal.images()] == [digest(content)]
    assert store.path(digest(content), area="incoming").read_bytes() == content
    assert sender.partial_files() == []
    assert files_in(store, "temporary") == []


def test_bytes_with_another_sha256_are_refused(sender: Sender) -> None:
    content = a_png()
    (upload,) = sender.declare(("a.png", content))
    refused = sender.chunk(upload, 0, content[:-1] + b"?")
    assert (refused.status_code, refused.headers["Upload-Offset"]) == (422, "0")
    assert "SHA-256 differs" in refused.json["title"]
    assert sender.portal.images() == []
    assert sender.partial_files() == []
    assert sender.chunk(upload, 0, content).json["arrived"]


@pytest.mark.parametrize(
    ("options", "content", "status", "why", "expected"),
    [
        ({"Upload-Offset": "-1"}, b"456789", 422, "expected a header `Upload-Offset`", None),
        ({"Upload-Offset": "all"}, b"456789", 422, "expected a header `Upload-Offset`", None),
        ({"Upload-Offset": "2"}, b"23456789", 409, "expected offset 4, received 2", "4"),
        ({"content_type": "text/plain"}, b"456789", 415, "expected the content type", None),
        ({}, b"456789?", 413, "the piece is longer than 6 bytes", "4"),
    ],
)
def test_malformed_chunk_is_refused(
    sender: Sender,
    options: dict[str, str],
    content: bytes,
    status: int,
    why: str,
    expected: str | None,
) -> None:
    (upload,) = sender.declare(("a.png", b"0123456789"))
    sender.chunk(upload, 0, b"0123")
    refused = sender.chunk(upload, 4, content, **options)
    assert (refused.status_code, refused.headers.get("Upload-Offset")) == (status, expected)
    assert refused.json["title"].startswith(why)
    partial = sender.portal.context.store.root / "partial" / str(upload["id"])
    assert partial.read_bytes() == b"0123"
    assert sender.chunk(upload, 4, b"456789").json["arrived"]


@both_databases
def test_second_concurrent_chunk_is_refused(sender: Sender) -> None:
    content = a_png()
    (upload,) = sender.declare(("a.png", content))
    with PartialFiles(sender.portal.context.store).hold(upload["id"]):
        refused = sender.chunk(upload, 0, content)
    assert (refused.status_code, refused.headers["Upload-Offset"]) == (409, "0")
    assert "another request" in refused.json["title"]
    assert sender.chunk(upload, 0, content).json["arrived"]


def test_empty_file_arrives(sender: Sender) -> None:
    (upload,) = sender.declare(("a.png", b""))
    assert sender.chunk(upload, 0, b"").json["arrived"]
    assert [image.size for image in sender.portal.images()] == [0]


def test_zip_sent_in_chunks_is_unpacked(sender: Sender) -> None:
    packed = a_zip(*((f"{number:04d}.png", b"%d" % number) for number in range(1010)))
    (upload,) = sender.declare(("x.zip", packed))
    sender.chunk(upload, 0, packed[:50])
    answer = sender.chunk(upload, 50, packed[50:]).json
    assert answer["files"][999]["file"] == "x.zip/0999.png"
    assert (len(answer["files"]), answer["unlisted"]) == (1000, 10)
    shown = sender.show()
    assert (shown["declared"], shown["missing"], shown["total"]) == (1, 0, 1010)
    assert sender.partial_files() == []


def test_too_large_file_is_refused_at_its_first_chunk(sender: Sender) -> None:
    sender.portal.change_settings(max_file_bytes=1000)
    content = bytes(2000)
    (upload,) = sender.declare(("large.png", content))
    answer = sender.chunk(upload, 0, content[:100]).json
    assert (answer["arrived"], answer["files"][0]["status"]) == (True, "rejected")
    assert answer["files"][0]["reason"].startswith("large.png: larger than")
    assert sender.partial_files() == []


def test_declared_files_are_listed_in_pages(sender: Sender) -> None:
    for start in (0, 1000):
        sender.declare(*((f"{number}.png", b"x") for number in range(start, start + 1000)))
    sender.declare(("last.png", b"x"))
    pages = [sender.client.get(f"{sender.url}/uploads?page={page}").json for page in (1, 2, 3)]
    assert [len(page["uploads"]) for page in pages] == [1000, 1000, 1]
    assert [page["next"] for page in pages] == [2, 3, None]
    assert pages[2]["uploads"][0]["file"] == "last.png"


def test_declared_names_are_cleaned_like_image_names(sender: Sender) -> None:
    (upload,) = sender.declare(("../d\\a\u202e\x07.png", a_png()))
    assert upload["file"] == "d/a\ufffdE2\ufffd80\ufffdAE\ufffd07.png"
    assert sender.chunk(upload, 0, a_png()).json["files"][0]["file"] == upload["file"]
