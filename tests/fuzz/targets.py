"""Fuzzing targets: each takes any bytes and fails unless it gets a result or a clean refusal."""

import io
import tempfile
import unicodedata
from pathlib import Path

from pipeline.errors import RefusedError
from pipeline.files.archive import ArchiveLimits, is_archive, members
from pipeline.files.table import TableError
from pipeline.limits import Limits
from pipeline.prepare.prepare import prepare
from pipeline.types import Prepared
from web.labels.csv_file import read_label_table

# Control and format characters, surrogates, line separators: none may be shown.
UNSHOWABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Small, so that a run reads many files instead of large ones.
LIMITS = Limits(max_bytes=2**22, max_pixels=2**18, max_frames=8)
ARCHIVE_LIMITS = ArchiveLimits(max_files=200, max_bytes=2**22, max_member_bytes=2**20)


def read_file(content: bytes) -> Prepared | None:
    """Decode and de-identify; the result must decode to the same image."""
    try:
        read = _prepare(content)
    except RefusedError as refusal:
        _check(refusal)
        return None
    assert read.stored is not None
    again = _prepare(read.stored.blob)
    assert (again.network_input == read.network_input).mean() > 0.99
    return read


def _prepare(content: bytes) -> Prepared:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return prepare(Path(file.name), key=b"an invented key", limits=LIMITS)


def read_archive(content: bytes) -> int:
    """Open and read every member; return their number."""
    if not is_archive(content[:4]):
        return 0
    found = 0
    try:
        for member in members(io.BytesIO(content), limits=ARCHIVE_LIMITS):
            found += 1
            assert ".." not in member.name.split("/")
            assert not member.name.startswith("/")
            assert not {unicodedata.category(one) for one in member.name} & UNSHOWABLE
            try:
                with member.open() as stream:
                    assert len(stream.read()) <= ARCHIVE_LIMITS.max_member_bytes
            except RefusedError as refusal:
                _check(refusal)
    except RefusedError as refusal:
        _check(refusal)
    return found


def read_table(content: bytes) -> int:
    """Return how many lines became a row or a reason."""
    try:
        table = read_label_table(content, time_zone="Europe/Berlin")
    except TableError as refusal:
        _check(refusal)
        return 0
    for problem in table.problems:
        assert problem.line >= 1
        assert 5 < len(problem.reason) < 250
        assert "\n" not in problem.reason
    return len(table.rows) + len(table.problems)


def _check(refusal: Exception) -> None:
    """A refusal is one plain line."""
    assert 5 < len(str(refusal)) < 250
    assert "\n" not in str(refusal)
    assert "unexpected" not in str(refusal)
