"""A decoder process that is taken over: a file that begins with CODE is run as Python code.

The `program` of a pool, contained as any decoder. The code stands for that of an attacker who has
found a fault in a codec. What it assigns to `answer` is the clause of the refusal.
"""

import ctypes
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import RefusalCode, RefusedError
from pipeline.prepare import process
from pipeline.prepare.pool import DecoderPool
from pipeline.prepare.prepare import prepare_content
from pipeline.types import Prepared

CODE = b"#owned\n"
HANG = "while True: pass"
CRASH = "ctypes.string_at(0)"
PROGRAM = __name__


def code_file(path: Path, code: str) -> Path:
    path.write_bytes(CODE + code.encode())
    return path


@contextmanager
def owned_pool(*, timeout_s: float = 20.0, key: bytes | None = b"key") -> Iterator[DecoderPool]:
    with DecoderPool(processes=1, timeout_s=timeout_s, key=key, program=PROGRAM) as pool:
        yield pool


def _run(content: bytes) -> None:
    # The modules are imported before, as any later import is denied.
    scope = {"ctypes": ctypes, "os": os, "socket": socket, "channel": int(sys.argv[1])}
    try:
        exec(content, scope)  # noqa: S102 (what this module is for)
    except OSError as error:
        scope["answer"] = type(error).__name__
    raise RefusedError(RefusalCode.OTHER, str(scope.get("answer")))


if __name__ == "__main__":

    def run_or_prepare(content: bytes, **options: Any) -> Prepared:
        if content.startswith(CODE):
            _run(content)
        return prepare_content(content, **options)

    vars(process).update(prepare_content=run_or_prepare)
    process.main(int(sys.argv[1]))
