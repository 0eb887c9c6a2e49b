"""The installation's secrets: made once, kept in the data folder, readable by its owner only.

Who may make them, and when, is decided in `models.installation`.
"""

import hmac
import json
import re
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pipeline.atomic_file import write_file
from pipeline.errors import PipelineError

SECRETS_FILE = "secrets.json"
# Expected contents. Sixteen random characters are the least that cannot be guessed.
_PATTERNS = {
    "session_key": r"\S{16,}",
    "identity_key_hex": r"[0-9a-f]{64}",
    "broker_password": r"[!-~]{16,}",
}
_REPAIRS = {
    "session_key": "restore it from a backup, or put 43 random letters there: all users sign in "
    "again and set up second factors again",
    "identity_key_hex": "restore it from a backup of this service",
    "broker_password": "restore it from a backup, or put 32 random letters there",
}


class SecretsError(PipelineError):
    """One sentence: the file, what is wrong with it, and what to do."""


@dataclass(frozen=True)
class Secrets:
    session_key: str  # signs the portal's cookies
    # Keys the hashes of patients and studies; without it they cannot be matched.
    identity_key_hex: str
    broker_password: str

    @property
    def identity_key(self) -> bytes:
        return bytes.fromhex(self.identity_key_hex)

    @property
    def fingerprint(self) -> str:
        """Of the identity key; the database keeps it."""
        return hmac.digest(self.identity_key, b"overread installation", "sha256").hex()

    def __repr__(self) -> str:
        return "Secrets(...)"


def new_secrets() -> Secrets:
    return Secrets(secrets.token_urlsafe(32), secrets.token_hex(32), secrets.token_urlsafe(24))


def write_secrets(data_dir: Path, new: Secrets) -> None:
    """Where the file exists it stays."""
    with suppress(FileExistsError):
        content = json.dumps(asdict(new)).encode()
        write_file(data_dir / SECRETS_FILE, content, replace=False)


def read_secrets(data_dir: Path) -> Secrets:
    """Raises SecretsError."""
    path = data_dir / SECRETS_FILE
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise SecretsError(
            f"{path} is missing: restore it from a backup of this service; with another key its "
            "patients would not be recognised"
        ) from None
    except OSError as error:
        raise SecretsError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SecretsError(f"{path} is damaged: restore it from a backup of this service")
    for name, pattern in _PATTERNS.items():
        value = found.get(name)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise SecretsError(f"{path}: {name} is missing, too short or invalid: {_REPAIRS[name]}")
    return Secrets(**{one.name: found[one.name] for one in fields(Secrets)})


def local_token_path(data_dir: Path) -> Path:
    """Of the file that `models.people.local_token` writes."""
    return data_dir / "token"


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole; only its owner can read it, from the first moment."""
    write_file(path, text.encode())
