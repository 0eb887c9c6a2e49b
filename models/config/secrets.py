"""The installation's secrets: made once, kept in the data folder, readable by its owner only."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Secrets:
    session_key: str  # signs the portal's cookies
    identity_key_hex: str  # keys the hashes of patients and studies; losing it unlinks them
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
        _write_if_absent(path, _make_secrets())
    return Secrets(**json.loads(path.read_text()))


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole; it is never readable by others, not even for a moment."""
    temporary = _write_temporary(path, text)
    temporary.replace(path)


def _make_secrets() -> Secrets:
    return Secrets(secrets.token_urlsafe(32), secrets.token_hex(32), secrets.token_urlsafe(24))


def _write_if_absent(path: Path, made: Secrets) -> None:
    # A link fails where the name exists: two processes that start at once agree on the first's.
    temporary = _write_temporary(path, json.dumps(asdict(made)))
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _write_temporary(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return temporary
