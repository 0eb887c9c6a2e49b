"""Declared files that come in pieces, whatever happens between the pieces."""

import hashlib
from dataclasses import dataclass
from typing import Any

import pytest

from tests.uploads import a_png, files_in
from tests.web.portal import Portal

PIECE = "application/offset+octet-stream"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Sender:
    """A program that sends to one job."""

    portal: Portal
    client: Any
    job: str

    @property
    def url(self) -> str:
        return f"/api/v1/jobs/{self.job}"

    def declare(self, *files: tuple[str, bytes], hashed: bool = True) -> list[dict[str, Any]]:
        said = [
            {"file": name, "size": len(content)} | ({"sha256": digest(content)} if hashed else {})
            for name, content in files
        ]
        answer = self.client.post(f"{self.url}/uploads", json={"files": said})
        assert answer.status_code == 200, answer.text
        return list(answer.json["uploads"])

    def piece(self, upload: dict[str, Any], offset: int, content: bytes, **options: Any) -> Any:
        return self.client.patch(
            f"{self.url}/uploads/{upload['id']}",
            data=content,
            content_type=options.pop("content_type", PIECE),
            headers={"Upload-Offset": str(offset), **options},
        )

    def post(self, act: str, **fields: Any) -> Any:
        return self.client.post(f"{self.url}/{act}", json=fields)

    def show(self) -> dict[str, Any]:
        return dict(self.client.get(self.url).json)

    def partial_files(self) -> list[str]:
        return [path.name for path in files_in(self.portal.services.store, "partial")]


@pytest.fixture
def sender(portal: Portal) -> Sender:
    return Sender(portal, portal.program(), portal.new_job())


def test_a_declaration_is_answered_in_its_order_and_again_with_the_same_rows(
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


def test_a_file_comes_in_pieces_and_becomes_an_image(sender: Sender) -> None:
    content = a_png()
    (upload,) = sender.declare(("d/a.png", content))
    half = len(content) // 2
    first = sender.piece(upload, 0, content[:half])
    assert first.headers["Upload-Offset"] == str(half)
    assert (first.json["received"], first.json["arrived"]) == (half, False)
    asked = sender.client.head(f"{sender.url}/uploads/{upload['id']}")
    assert asked.headers["Upload-Offset"] == str(half)
    assert asked.headers["Upload-Length"] == str(len(content))
    last = sender.piece(upload, half, content[half:])
    assert last.json["arrived"]
    assert [file["status"] for file in last.json["files"]] == ["received"]
    (image,) = sender.portal.images()
    assert (image.file, image.sha256, image.size) == ("d/a.png", digest(content), len(content))
    store = sender.portal.services.store
    assert store.path(image.sha256, area="incoming").read_bytes() == content
    assert sender.partial_files() == []
    assert sender.show()["missing"] == 0
    again = sender.piece(upload, len(content), b"")
    assert (again.status_code, again.json["arrived"]) == (200, True)
    assert again.json["files"] == last.json["files"]
