"""Zip archives made for tests, and the outcome of reading their members."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import RefusedError
from pipeline.files.archive import ArchiveLimits, members
from tests.support.data.builders import encoded, make_picture

PNG = encoded(make_picture(), "PNG")


def make_zip(path: Path, files: Sequence[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


def outcomes(path: Path, **limits: Any) -> dict[str, str | bytes]:
    """Return each member's content, or the sentence of its refusal, by its shown name."""
    found: dict[str, str | bytes] = {}
    for member in members(path, limits=ArchiveLimits(**limits)):
        try:
            with member.open() as stream:
                found[member.name] = stream.read()
        except RefusedError as refusal:
            found[member.name] = str(refusal)
    return found


def an_entry(name: str, *, mode: int = 0, extra: bytes = b"") -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr, info.extra = mode << 16, extra
    return info
