"""Hands small files over to a service on this machine, instead of sending them through a socket.

They are copied: a link would change with the sender's file, which may still be written.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from models.files.handover import handed_over_path


class HandOver:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def put(self, contents: Mapping[int, bytes]) -> Iterator[str]:
        """Copies of files, by upload, that are deleted after the `with` block; yields their token.

        Raises OSError, after which they can be sent.
        """
        token = secrets.token_hex(16)
        with ExitStack() as copies:
            for upload_id, content in contents.items():
                path = handed_over_path(self._folder, token, upload_id)
                copies.callback(path.unlink, missing_ok=True)
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as copy:
                    copy.write(content)
            yield token


def find_hand_over(folder: str) -> HandOver | None:
    """folder: that the service announced; empty if it did not. None where it is another user's."""
    try:
        is_ours = bool(folder) and Path(folder).stat().st_uid == os.geteuid()
    except OSError:
        return None
    return HandOver(Path(folder)) if is_ours else None
