"""An API client that declares files and sends them in chunks."""

import hashlib
from dataclasses import dataclass
from typing import Any

from tests.support.data.uploads import files_in
from tests.support.web.portal import Portal

CHUNK_TYPE = "application/offset+octet-stream"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Sender:
    portal: Portal
    client: Any
    job: str

    @property
    def url(self) -> str:
        return f"/api/v1/jobs/{self.job}"

    def declare(self, *files: tuple[str, bytes], hashed: bool = True) -> list[dict[str, Any]]:
        answer = self.try_to_declare(*files, hashed=hashed)
        assert answer.status_code == 200, answer.text
        return list(answer.json["uploads"])

    def try_to_declare(self, *files: tuple[str, bytes], hashed: bool = True) -> Any:
        declared = [
            {"file": name, "size": len(content)} | ({"sha256": digest(content)} if hashed else {})
            for name, content in files
        ]
        return self.client.post(f"{self.url}/uploads", json={"files": declared})

    def chunk(self, upload: dict[str, Any], offset: int, content: bytes, **options: Any) -> Any:
        return self.client.patch(
            f"{self.url}/uploads/{upload['id']}",
            data=content,
            content_type=options.pop("content_type", CHUNK_TYPE),
            headers={"Upload-Offset": str(offset), **options},
        )

    def batch(self, uploads: list[dict[str, Any]], *contents: bytes, **options: Any) -> Any:
        """Send small files whole, in one body."""
        ids = ",".join(str(upload["id"]) for upload in uploads)
        return self.client.patch(
            f"{self.url}/uploads?ids={ids}",
            data=b"".join(contents),
            content_type=options.pop("content_type", CHUNK_TYPE),
            **options,
        )

    def missing(self) -> list[str]:
        answer = self.client.get(f"{self.url}/uploads?state=missing").json
        return [upload["file"] for upload in answer["uploads"]]

    def post(self, action: str, **fields: Any) -> Any:
        return self.client.post(f"{self.url}/{action}", json=fields)

    def show(self) -> dict[str, Any]:
        return dict(self.client.get(self.url).json)

    def partial_files(self) -> list[str]:
        return [path.name for path in files_in(self.portal.context.store, "partial")]
