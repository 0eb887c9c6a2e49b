"""Small declared files that a command on this machine hands over."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.files.handover import handed_over_path
from tests.support.data.uploads import a_png, files_in
from tests.support.servers.databases import both_databases
from tests.support.web.portal import a_zip
from tests.support.web.sender import Sender, digest

TOKEN = "0123456789abcdef" * 2
FILES = [("a/a.png", a_png(seed=1)), ("b.zip", a_zip(("b.png", a_png(seed=2)))), ("c.png", b"")]
CONTENTS = [content for _, content in FILES]


def place(sender: Sender, upload: dict[str, Any]) -> Path:
    store = sender.portal.context.store
    return handed_over_path(store.make_folder(store.temporary), TOKEN, upload["id"])


def put(sender: Sender, uploads: list[dict[str, Any]], *contents: bytes) -> None:
    for upload, content in zip(uploads, contents, strict=True):
        place(sender, upload).write_bytes(content)


def hand_over(sender: Sender, uploads: list[dict[str, Any]], *, token: str = TOKEN) -> Any:
    body = {"token": token, "ids": [upload["id"] for upload in uploads]}
    return sender.client.post(f"{sender.url}/uploads/handed-over", json=body)


@both_databases
def test_files_that_are_handed_over_become_images(sender: Sender) -> None:
    uploads = sender.declare(*FILES)
    put(sender, uploads, *CONTENTS)
    answer = hand_over(sender, uploads).json
    assert [sent["status"] for sent in answer["uploads"]] == ["arrived"] * 3
    images = {image.file: image.sha256 for image in sender.portal.images()}
    assert images == {
        "a/a.png": digest(CONTENTS[0]),
        "b.zip/b.png": digest(a_png(seed=2)),
        "c.png": digest(b""),
    }
    assert sender.missing() == []
    store = sender.portal.context.store
    for upload in uploads:
        place(sender, upload).unlink()
    assert store.path(digest(CONTENTS[0]), area="incoming").read_bytes() == CONTENTS[0]
    assert files_in(store, "temporary") == []
    assert [row.action for row in sender.portal.audit()].count("files.received") == 1
    again = hand_over(sender, uploads).json
    assert [sent["status"] for sent in again["uploads"]] == ["arrived_before"] * 3
    assert len(sender.portal.images()) == 3


@pytest.mark.parametrize("content", [b"other", b"longer than declared", b""])
def test_file_with_another_content_stays_missing(sender: Sender, content: bytes) -> None:
    uploads = sender.declare(("a.png", b"bytes"), FILES[0])
    put(sender, uploads, content, CONTENTS[0])
    answer = hand_over(sender, uploads).json
    assert [sent["status"] for sent in answer["uploads"]] == ["wrong_sha256", "arrived"]
    assert sender.missing() == ["a.png"]
    assert [image.file for image in sender.portal.images()] == ["a/a.png"]


def link(place: Path, elsewhere: Path) -> None:
    place.hardlink_to(elsewhere)


def symbolic_link(place: Path, elsewhere: Path) -> None:
    place.symlink_to(elsewhere)


def pipe(place: Path, elsewhere: Path) -> None:
    os.mkfifo(place)


def nothing(place: Path, elsewhere: Path) -> None:
    pass


@pytest.mark.parametrize("make", [link, symbolic_link, pipe, nothing])
def test_only_files_put_there_are_taken(
    sender: Sender, tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(CONTENTS[0])
    uploads = sender.declare(FILES[0])
    make(place(sender, uploads[0]), elsewhere)
    assert hand_over(sender, uploads).status_code == 422
    assert sender.portal.images() == []


def test_files_of_another_user_are_not_taken(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service may be able to read them; who asks for them may not."""
    uploads = sender.declare(FILES[0])
    put(sender, uploads, CONTENTS[0])
    monkeypatch.setattr("os.geteuid", lambda: place(sender, uploads[0]).stat().st_uid + 1)
    assert hand_over(sender, uploads).status_code == 422
    assert sender.portal.images() == []
    monkeypatch.undo()
    assert hand_over(sender, uploads).json["uploads"][0]["status"] == "arrived"


@pytest.mark.parametrize(
    ("token", "ids"),
    [("f" * 32, "own"), ("../partial", "own"), ("", "own"), (TOKEN, []), (TOKEN, [-1])],
)
def test_malformed_hand_over_is_refused(sender: Sender, token: str, ids: Any) -> None:
    uploads = sender.declare(FILES[0])
    put(sender, uploads, CONTENTS[0])
    body = {"token": token, "ids": [uploads[0]["id"]] if ids == "own" else ids}
    answer = sender.client.post(f"{sender.url}/uploads/handed-over", json=body)
    assert answer.status_code in (404, 422)
    assert sender.portal.images() == []


def test_full_disk_and_closed_job_refuse_what_is_handed_over(sender: Sender) -> None:
    uploads = sender.declare(FILES[0])
    put(sender, uploads, CONTENTS[0])
    sender.portal.change_settings(disk_reserve_bytes=2**60)
    assert hand_over(sender, uploads).status_code == 507
    sender.portal.change_settings(disk_reserve_bytes=0)
    sender.post("close", missing="give_up")
    assert hand_over(sender, uploads).status_code == 409
    assert sender.portal.images() == []
