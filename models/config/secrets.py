"""The installation's secrets: created once, kept in the data folder, readable by its owner only."""

import json
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.atomic_file import write_file


@dataclass(frozen=True)
class Secrets:
    session_key: str  # signs the portal's cookies
    # Keys the hashes of patients and studies; without it they cannot be matched.
    identity_key_hex: str
    broker_password: str

    @property
    def identity_key(self) -> bytes:
        return bytes.fromhex(self.identity_key_hex)

    def __repr__(self) -> str:
        return "Secrets(...)"


def read_or_make_secrets(data_dir: Path) -> Secrets:
    path = data_dir / "secrets.json"
    if not path.exists():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = Secrets(secrets.token_urlsafe(32), secrets.token_hex(32), secrets.token_urlsafe(24))
        with suppress(FileExistsError):  # another process was faster
            write_file(path, json.dumps(asdict(new)).encode(), replace=False)
    return Secrets(**json.loads(path.read_text()))


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole; only its owner can read it, from the first moment."""
    write_file(path, text.encode())
