"""Declared files sent in chunks, with interruptions between the chunks."""

import io

import pytest

from models.files.partial import PartialFiles
from models.intake.uploads import advance
from tests.support.data.uploads import a_png, files_in
from tests.support.servers.databases import both_databases
from tests.support.web.portal import a_zip
from tests.support.web.sender import Sender, digest


@both_databases
def test_declaration_keeps_order_and_is_idempotent(
    sender: Sender,
) -> None:
    files = [("z.png", b"1"), ("a.png", b"22"), ("z.png", b"1")]
    first = sender.declare(*files)
    assert [(one["file"], one["size"], one["received"]) for one in first] == [
        ("z.png", 1, 0),
        ("a.png", 2, 0),
        ("z.png", 1, 0),
    ]
    assert first[0]["id"] == first[2]["id"]
    assert sender.declare(*files) == first
    assert sender.show()["declared"] == sender.show()["missing"] == 2


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


def test_uncounted_bytes_are_overwritten(sender: Sender) -> None:
    """As after a kill between the write and the update of the row."""
    content = a_png()
    (upload,) = sender.declare(("a.png", content))
    sender.chunk(upload, 0, content[:100])
    with PartialFiles(sender.portal.context.store).hold(upload["id"]) as partial:
        partial.append(io.BytesIO(b"other bytes"), at=100, max_bytes=99)
    assert sender.chunk(upload, 100, content[100:]).json["arrived"]
    assert [image.sha256 for image in sender.portal.images()] == [digest(content)]


def test_lost_partial_file_restarts_at_zero(sender: Sender) -> None:
    content = a_png()
    (upload,) = sender.declare(("a.png", content))
    sender.chunk(upload, 0, content[:100])
    (sender.portal.context.store.root / "partial" / str(upload["id"])).unlink()
    refused = sender.chunk(upload, 100, content[100:])
    assert (refused.status_code, refused.headers["Upload-Offset"]) == (409, "0")
    assert sender.chunk(upload, 0, content).json["arrived"]


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


def test_wrong_offset_returns_the_expected_one(sender: Sender) -> None:
    (upload,) = sender.declare(("a.png", b"0123456789"))
    sender.chunk(upload, 0, b"0123")
    refused = sender.chunk(upload, 2, b"23456789")
    assert (refused.status_code, refused.headers["Upload-Offset"]) == (409, "4")
    assert refused.json["title"] == "expected offset 4, received 2"


def test_bytes_with_another_sha256_are_refused(sender: Sender) -> None:
    content = a_png()
    (upload,) = sender.declare(("a.png", content))
    refused = sender.chunk(upload, 0, content[:-1] + b"?")
    assert (refused.status_code, refused.headers["Upload-Offset"]) == (422, "0")
    assert "SHA-256 differs" in refused.json["title"]
    assert sender.portal.images() == []
    assert sender.partial_files() == []
    assert sender.chunk(upload, 0, content).json["arrived"]


def test_more_bytes_than_declared_are_refused(sender: Sender) -> None:
    (upload,) = sender.declare(("a.png", b"0123456789"))
    refused = sender.chunk(upload, 0, b"0123456789?")
    assert (refused.status_code, refused.headers["Upload-Offset"]) == (413, "0")
    assert sender.partial_files() == []
    assert sender.portal.images() == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Offset": "-1"}, 422),
        ({"Upload-Offset": "all"}, 422),
        ({"content_type": "text/plain"}, 415),
    ],
)
def test_chunk_requires_offset_and_media_type(
    sender: Sender, headers: dict[str, str], status: int
) -> None:
    (upload,) = sender.declare(("a.png", b"0123456789"))
    assert sender.chunk(upload, 0, b"0123456789", **headers).status_code == status


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
    packed = a_zip(("s/a.png", a_png(seed=1)), ("s/b.png", a_png(seed=2)), ("s/c.zip", b"PK"))
    (upload,) = sender.declare(("x.zip", packed))
    sender.chunk(upload, 0, packed[:50])
    answer = sender.chunk(upload, 50, packed[50:]).json
    assert [file["file"] for file in answer["files"]] == [
        "x.zip/s/a.png",
        "x.zip/s/b.png",
        "x.zip/s/c.zip",
    ]
    assert [file["status"] for file in answer["files"]] == ["received", "received", "rejected"]
    shown = sender.show()
    assert (shown["declared"], shown["missing"], shown["total"]) == (1, 0, 3)
    assert sender.partial_files() == []


def test_response_to_a_large_zip_lists_its_first_members(sender: Sender) -> None:
    packed = a_zip(*((f"{number:04d}.png", b"%d" % number) for number in range(1010)))
    (upload,) = sender.declare(("x.zip", packed))
    answer = sender.chunk(upload, 0, packed).json
    assert (len(answer["files"]), answer["unlisted"]) == (1000, 10)
    assert sender.show()["total"] == 1010


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


def test_uploads_of_another_job_are_not_found(sender: Sender) -> None:
    (upload,) = sender.declare(("a.png", b"0123456789"))
    other = Sender(sender.portal, sender.client, sender.portal.new_job())
    for answer in (
        other.chunk(upload, 0, b"0123456789"),
        other.chunk({"id": 2**31}, 0, b""),
        other.chunk({"id": 2**80}, 0, b""),
    ):
        assert answer.status_code == 404
    nobody = Sender(sender.portal, sender.client, "0" * 32)
    assert nobody.client.get(f"{nobody.url}/uploads").status_code == 404
    declared = {"files": [{"file": "a.png", "size": 1}]}
    assert nobody.client.post(f"{nobody.url}/uploads", json=declared).status_code == 404


def test_declared_names_are_cleaned_like_image_names(sender: Sender) -> None:
    content = a_png()
    (upload,) = sender.declare(("../d\\" + "x" * 3000 + "\u202e\x07.png", content))
    assert sender.chunk(upload, 0, content).json["files"][0]["file"] == upload["file"]
    assert len(upload["file"]) <= 1024
    assert upload["file"].startswith("d/xxx")
    assert upload["file"].endswith("xxx.png")
