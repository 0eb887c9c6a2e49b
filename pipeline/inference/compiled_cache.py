"""Networks as OpenVINO compiled them, kept so that the next process starts sooner.

The version's folder stays the authority: what is missing here, damaged, of another network,
processor or release of OpenVINO, or writable by others is compiled again.
"""

import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.atomic_file import make_folder, write_file

KEPT: Final = 4  # files, of about 5 MB
ENDING: Final = ".compiled"
SEAL_BYTES: Final = hashlib.sha256().digest_size


@dataclass(frozen=True)
class CompiledCache:
    """folder: of this user alone. network: the digest of a version's folder, once verified."""

    folder: Path
    network: str

    def read(self, platform: str) -> bytes | None:
        """Return what was kept for a platform: processor, release of OpenVINO, and options."""
        key = self._key(platform)
        try:
            _check_private(self.folder)
            kept = self._path(key).read_bytes()
        except OSError:
            return None
        seal, blob = kept[:SEAL_BYTES], kept[SEAL_BYTES:]
        return blob if seal == _seal(key, blob) else None

    def write(self, platform: str, blob: bytes) -> None:
        """Keep it, where the folder can be written, and delete the oldest others."""
        key = self._key(platform)
        with suppress(OSError):
            make_folder(self.folder, mode=0o700)
            _check_private(self.folder)
            write_file(self._path(key), [_seal(key, blob), blob])
            newest = sorted(self.folder.glob(f"*{ENDING}"), key=lambda path: -path.stat().st_mtime)
            for path in newest[KEPT:]:
                path.unlink()

    def _key(self, platform: str) -> str:
        return hashlib.sha256(f"{self.network}\n{platform}".encode()).hexdigest()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{ENDING}"


def _seal(key: str, blob: bytes) -> bytes:
    return hashlib.sha256(key.encode() + blob).digest()


def _check_private(folder: Path) -> None:
    """Raises PermissionError: OpenVINO would run whatever others wrote there."""
    status = folder.stat(follow_symlinks=False)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
        raise PermissionError(f"{folder} belongs to others, or is writable by them")
