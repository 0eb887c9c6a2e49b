"""Small declared files sent whole, several in one body."""

import tracemalloc
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from models.intake.uploads import require_uploads
from pipeline.checksum import BLOCK
from pipeline.errors import RefusalCode
from tests.support.data.power_cut import Disk
from tests.support.data.uploads import a_png
from tests.support.servers.databases import both_databases
from tests.support.web.portal import a_zip
from tests.support.web.sender import Sender, digest
from web.intake.batch import take_batch

FILES = [("a/a.png", a_png(seed=1)), ("b.png", a_png(seed=2)), ("c.png", b"")]
CONTENTS = [content for _, content in FILES]


@both_databases
def test_files_of_a_batch_become_images(sender: Sender) -> None:
    uploads = sender.declare(*FILES)
    answer = sender.batch(uploads, *CONTENTS)
    assert answer.json["uploads"] == [
        {"id": upload["id"], "status": "arrived", "reason": None} for upload in uploads
    ]
    assert [file["status"] for file in answer.json["files"]] == ["received"] * 3
    assert [(image.file, image.sha256) for image in sender.portal.images()] == [
        (name, digest(content)) for name, content in FILES
    ]
    store = sender.portal.context.store
    assert store.path(digest(CONTENTS[0]), area="incoming").read_bytes() == CONTENTS[0]
    assert sender.missing() == []
    audited = [row.action for row in sender.portal.audit()]
    assert audited.count("files.received") == 1


def test_files_of_a_batch_are_on_disk_before_their_rows(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads, counts = sender.declare(*FILES), []
    names = {digest(content) for content in CONTENTS}
    disk = Disk(sender.portal.context.settings.data_dir, monkeypatch)

    def count(connection: Connection) -> None:
        rows = connection.exec_driver_sql("SELECT count(*) FROM image").scalar_one()
        stored = [name for name in disk.survivors() if name.rpartition("/")[2] in names]
        counts.append((rows, len(stored)))

    event.listen(sender.portal.context.sessions.engine, "commit", count)
    sender.batch(uploads, *CONTENTS)
    assert counts[-1] == (3, 3)
    assert all(rows <= on_disk for rows, on_disk in counts)


def test_repeated_batch_changes_nothing(sender: Sender) -> None:
    uploads = sender.declare(*FILES)
    sender.batch(uploads[:1], CONTENTS[0])
    again = sender.batch(uploads, *CONTENTS).json
    assert [sent["status"] for sent in again["uploads"]] == ["arrived_before", "arrived", "arrived"]
    assert len(sender.portal.images()) == 3
    assert sender.batch([*uploads, uploads[0]], *CONTENTS, CONTENTS[0]).status_code == 200
    assert len(sender.portal.images()) == 3


@both_databases
def test_bad_file_in_a_batch_loses_no_other(sender: Sender) -> None:
    sender.portal.change_settings(max_file_bytes=5000)
    files = [
        ("damaged.png", b"declared"),
        ("large.png", bytes(5001)),
        ("broken.zip", a_zip(("a.png", b"1"))[:-20]),
        ("x.zip", a_zip(("a.png", a_png(seed=3)), ("b.zip", b"PK"))),
        ("d/Thumbs.db", b"junk"),
        FILES[0],
    ]
    uploads = sender.declare(*files)
    answer = sender.batch(uploads, b"differs!", *(content for _, content in files[1:])).json
    assert [sent["status"] for sent in answer["uploads"]] == ["wrong_sha256", *["arrived"] * 5]
    assert answer["uploads"][0]["reason"].startswith("the SHA-256 differs from the declared one")
    assert [(file["file"], file["status"]) for file in answer["files"]] == [
        ("large.png", "rejected"),
        ("broken.zip", "rejected"),
        ("x.zip/a.png", "received"),
        ("x.zip/b.zip", "rejected"),
        ("a/a.png", "received"),
    ]
    large, broken = answer["files"][:2]
    assert large["reason"].startswith("large.png: larger than")
    assert broken["reason"].startswith("broken.zip: the zip archive is damaged")
    codes = {image.file: image.reason_code for image in sender.portal.images()}
    assert codes["large.png"] == RefusalCode.TOO_LARGE
    assert codes["broken.zip"] == RefusalCode.DAMAGED
    assert answer["ignored"] == ["d/Thumbs.db"]
    assert sender.missing() == ["damaged.png"]
    sender.batch(uploads[:1], b"declared")
    assert sender.missing() == []


def test_interrupted_batch_keeps_the_files_that_arrived_whole(sender: Sender) -> None:
    uploads = sender.declare(*FILES[:2], ("e.png", b"not sent"))
    sent = CONTENTS[0] + CONTENTS[1][:-1]
    length = sum(upload["size"] for upload in uploads)
    sender.batch(uploads, sent, environ_overrides={"CONTENT_LENGTH": str(length)})
    assert [image.file for image in sender.portal.images()] == ["a/a.png"]
    assert sender.missing() == ["b.png", "e.png"]
    assert sender.batch(uploads, *CONTENTS[:2], b"not sent").json["uploads"][0]["status"] == (
        "arrived_before"
    )
    assert sender.missing() == []


def test_batch_replaces_the_pieces_of_an_interrupted_file(sender: Sender) -> None:
    (upload,) = sender.declare(FILES[0], hashed=False)
    sender.chunk(upload, 0, b"half of other bytes")
    assert sender.batch([upload], CONTENTS[0]).json["uploads"][0]["status"] == "arrived"
    assert sender.chunk(upload, upload["size"], b"").json["arrived"]
    assert [image.sha256 for image in sender.portal.images()] == [digest(CONTENTS[0])]


def test_batch_passes_through_memory_in_blocks(sender: Sender) -> None:
    size = 16 * BLOCK
    declared = {"files": [{"file": "large.png", "size": size}]}
    (upload,) = sender.client.post(f"{sender.url}/uploads", json=declared).json["uploads"]
    context = sender.portal.context
    with context.sessions() as session:
        uploads = require_uploads(session, job_id=sender.job, upload_ids=[upload["id"]])
    tracemalloc.start()
    with Path("/dev/zero").open("rb", buffering=0) as zeros:
        batch = take_batch(context, job_id=sender.job, uploads=uploads, body=zeros)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [sent.status for sent in batch.uploads] == ["arrived"]
    assert sender.portal.images()[0].sha256 == digest(bytes(size))
    assert peak < 4 * BLOCK


@pytest.mark.parametrize(
    ("ids", "body", "options", "status"),
    [
        ("{0},{1}", b"12345", {}, 422),  # one byte too few
        ("{0},{1}", b"1234567", {}, 422),
        ("{0}", b"123", {"content_type": "text/plain"}, 415),
        ("{0}", b"123", {"environ_overrides": {"CONTENT_LENGTH": str(2**25)}}, 413),
        ("{0},999999999", b"123", {}, 404),
        ("{0},9999999999", b"123", {}, 422),
        ("{0},{0},-1", b"123", {}, 422),
        ("", b"", {}, 422),
        (",".join(["{0}"] * 129), b"123" * 129, {}, 422),
    ],
)
def test_malformed_batch_is_refused(
    sender: Sender, ids: str, body: bytes, options: dict[str, object], status: int
) -> None:
    known = [upload["id"] for upload in sender.declare(("a", b"123"), ("b", b"456"))]
    url = f"{sender.url}/uploads?ids={ids.format(*known)}"
    headers = {"content_type": "application/offset+octet-stream"} | options
    answer = sender.client.patch(url, data=body, **headers)
    assert answer.status_code == status
    assert sender.portal.images() == []


def test_files_of_another_job_are_not_found(sender: Sender) -> None:
    uploads = sender.declare(*FILES)
    mine = Sender(sender.portal, sender.client, sender.portal.new_job())
    own = mine.declare(FILES[0])
    for answer in (
        mine.batch([*own, uploads[1]], *CONTENTS[:2]),
        mine.chunk(uploads[0], 0, CONTENTS[0]),
        mine.chunk({"id": 2**31}, 0, b""),
        mine.chunk({"id": 2**80}, 0, b""),
    ):
        assert answer.status_code == 404
    assert sender.portal.images() == []
