"""Uploads without the portal."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from models.context import AppContext
from models.files.store import FileStore
from models.intake.images import NewImage, add_images
from models.tables.intake import Image, Job
from pipeline.types import PREPROCESSING
from tests.support.data.builders import encoded, make_dicom, make_picture


def a_png(*, seed: int = 0, rows: int = 96) -> bytes:
    """Return a small PNG; each seed gives different bytes."""
    pixels = make_picture(rows, 128)
    pixels[0, 0] = seed % 256
    pixels[0, 1] = seed // 256
    return encoded(pixels, "PNG")


def a_dicom(folder: Path, **attributes: Any) -> bytes:
    return make_dicom(folder / "written.dcm", **attributes).read_bytes()


def upload(context: AppContext, job: Job, files: dict[str, bytes]) -> list[Image]:
    """Their ids are in the order given."""
    images = []
    for file, content in files.items():
        stored = context.store.put(io.BytesIO(content))
        new = NewImage(file, stored.sha256, stored.size)
        with context.sessions.begin() as session:
            images += add_images(session, job_id=job.id, new=[new])
    return images


def files_in(store: FileStore, area: str = "") -> list[Path]:
    """Of one area, or all."""
    return [path for path in (store.root / area).rglob("*") if path.is_file()]


def put_inputs(context: AppContext, images: list[Image]) -> None:
    for number, image in enumerate(images):
        noise = np.random.default_rng(number).integers(0, 256, (224, 224), np.uint8)
        context.store.put_network_input(image.sha256, PREPROCESSING, noise)
