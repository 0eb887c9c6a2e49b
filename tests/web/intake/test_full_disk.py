"""A full disk: no partial files remain, files stored before have rows, clients get Retry-After."""

import errno
import io
import zipfile
from typing import BinaryIO

import pytest

from models.files.store import FileStore, Stored
from models.intake.uploads import Declared
from pipeline.atomic_file import FileGroup
from tests.support.data.uploads import a_png, files_in
from tests.support.web.portal import send
from tests.support.web.sender import Sender, digest
from web.http.disk import DiskFullError
from web.intake.receive import SentFile, receive


def test_full_disk_refuses_declarations_and_uploads(sender: Sender) -> None:
    content = a_png()
    (upload,) = sender.declare(("a.png", content))
    sender.chunk(upload, 0, content[:10])
    sender.portal.change_settings(disk_reserve_bytes=2**60)
    refused = [
        sender.client.post(f"{sender.url}/uploads", json={"files": [{"file": "b", "size": 1}]}),
        sender.chunk(upload, 10, content[10:]),
        sender.batch([upload], content),
        send(sender.client, sender.job, ("c.png", content)),
    ]
    for answer in refused:
        assert (answer.status_code, answer.headers["Retry-After"]) == (507, "60")
        assert answer.json["title"].startswith("the disk is nearly full")
    assert sender.portal.images() == []
    assert files_in(sender.portal.context.store, "temporary") == []
    sender.portal.change_settings(disk_reserve_bytes=0)
    assert sender.chunk(upload, 10, content[10:]).json["arrived"]


def test_files_stored_before_the_disk_filled_have_rows(sender: Sender) -> None:
    class Full(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError(errno.ENOSPC, "no space left")
            return super().read(size)

        def seek(self, *_: int) -> int:
            return self.tell()

    files = [("a.png", b"stored"), ("full.png", b"not stored"), ("later.png", b"perhaps")]
    sender.declare(*files)
    sent = [
        SentFile(
            Declared(name, len(content), digest(content)),
            (Full if name == "full.png" else io.BytesIO)(content),
        )
        for name, content in files
    ]
    with pytest.raises(DiskFullError):
        receive(sender.portal.context, job_id=sender.job, sent=sent)
    assert [image.file for image in sender.portal.images()] == ["a.png"]
    assert sender.missing() == ["full.png", "later.png"]


def test_files_before_a_zip_member_that_does_not_fit_have_rows(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(
        store: FileStore, stream: BinaryIO, *, sha256: str = "", group: FileGroup | None = None
    ) -> Stored:
        if not isinstance(stream, io.BytesIO):  # as it is unpacked
            raise OSError(errno.ENOSPC, "no space left")
        return original(store, stream, sha256=sha256, group=group)

    original = FileStore.put
    monkeypatch.setattr(FileStore, "put", put)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writing:
        writing.writestr("large.png", bytes(2**21))
    sent = [
        SentFile(Declared(name, len(content), digest(content)), io.BytesIO(content))
        for name, content in (("a.png", b"stored"), ("b.zip", archive.getvalue()))
    ]
    with pytest.raises(DiskFullError):
        receive(sender.portal.context, job_id=sender.job, sent=sent)
    assert [image.file for image in sender.portal.images()] == ["a.png"]


def test_full_database_is_reported_as_a_full_disk(sender: Sender) -> None:
    engine = sender.portal.context.sessions.kw["bind"]
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # no new pages
    files = [{"file": f"{number:0900d}", "size": 1} for number in range(500)]
    answer = sender.client.post(f"{sender.url}/uploads", json={"files": files})
    assert answer.status_code == 507
