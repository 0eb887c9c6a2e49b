"""Uploads without the portal."""

import io
from pathlib import Path
from typing import Any

from PIL import Image as Picture

from models.context import AppContext
from models.files.store import FileStore
from models.intake.images import add_image
from models.tables.intake import Image, Job
from tests.support.data.builders import make_dicom, make_picture


def a_png(*, seed: int = 0, rows: int = 96) -> bytes:
    """Return a small PNG; each seed gives different bytes."""
    pixels = make_picture(rows, 128)
    pixels[0, 0] = seed % 256
    pixels[0, 1] = seed // 256
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def a_dicom(folder: Path, **attributes: Any) -> bytes:
    return make_dicom(folder / "written.dcm", **attributes).read_bytes()


def upload(context: AppContext, job: Job, files: dict[str, bytes]) -> list[Image]:
    stored = [context.store.put(io.BytesIO(content)) for content in files.values()]
    with context.sessions.begin() as session:
        return [
            add_image(session, job_id=job.id, file=file, stored=one)
            for file, one in zip(files, stored, strict=True)
        ]


def files_in(store: FileStore, area: str) -> list[Path]:
    return [path for path in (store.root / area).rglob("*") if path.is_file()]
