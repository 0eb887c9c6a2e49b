"""Which contents a label means: by hash, image, SOP Instance UID or file name."""

from collections.abc import Collection, Iterator

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from models.query import ROWS_A_FETCH, batches
from models.tables.intake import Image
from models.tables.learning import ImportedImage

Contents = dict[str, set[str]]  # SHA-256s by the name that was asked for


def contents_by_hash(session: Session, sha256s: Collection[str]) -> Contents:
    found: Contents = {}
    for some in batches(sorted(sha256s)):
        for column in (Image.sha256, ImportedImage.sha256):
            rows = session.scalars(select(column).where(column.in_(some)).distinct())
            found.update((sha256, {sha256}) for sha256 in rows)
    return found


def contents_by_image(session: Session, image_ids: Collection[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for some in batches(sorted(image_ids)):
        rows = select(Image.id, Image.sha256).where(Image.id.in_(some), *_has_content)
        found.update(dict(session.execute(rows).all()))
    return found


def contents_by_uid(session: Session, uids: Collection[str]) -> Contents:
    """uids: pseudonymous SOP Instance UIDs."""
    found: Contents = {}
    for some in batches(sorted(uids)):
        rows = select(Image.sop_instance_uid, Image.sha256).where(
            Image.sop_instance_uid.in_(some), *_has_content
        )
        for uid, sha256 in session.execute(rows):
            found.setdefault(str(uid), set()).add(sha256)
    return found


def contents_by_file(session: Session, files: Collection[str]) -> Contents:
    """A whole path as it was uploaded or imported; else the end of one, from a folder on.

    One walk through all names, whatever the number asked for: there is no index on ends of paths.
    """
    by_last_part: dict[str, list[str]] = {}
    for file in files:
        by_last_part.setdefault(file.rpartition("/")[2], []).append(file)
    whole: Contents = {}
    ends: Contents = {}
    for file, sha256 in _all_files(session) if files else ():
        for asked in by_last_part.get(file.rpartition("/")[2], ()):
            if file == asked:
                whole.setdefault(asked, set()).add(sha256)
            elif file.endswith(f"/{asked}"):
                ends.setdefault(asked, set()).add(sha256)
    return ends | whole


def _all_files(session: Session) -> Iterator[tuple[str, str]]:
    queries: tuple[Select[str, str], ...] = (
        select(Image.file, Image.sha256).where(*_has_content),
        select(ImportedImage.file, ImportedImage.sha256),
    )
    for query in queries:
        yield from session.execute(query.execution_options(yield_per=ROWS_A_FETCH))


# What was refused on arrival, before it was read to its end, has no hash.
_has_content: tuple[ColumnElement[bool], ...] = (Image.sha256 != "",)
