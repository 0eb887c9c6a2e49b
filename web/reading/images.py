"""Pictures, drawn when someone looks: from the de-identified file and the stored heatmap.

Small pictures for lists, from the network's input: nothing needs to be decoded again.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from threading import BoundedSemaphore

from apiflask import APIBlueprint
from apiflask.schemas import FileSchema
from flask import Response, abort, request

from models.files.store import FileStore
from models.intake.images import get_image
from models.reading.predictions import get_prediction
from models.tables import intake as tables
from models.tables.people import Role
from pipeline.types import PREPROCESSING
from web.auth.rules import needs
from web.auth.view_log import record_picture
from web.context import current_context

bp = APIBlueprint("images", __name__, tag="Images")

PNG = "image/png"
# A film of 64 million pixels takes a quarter of a gigabyte while it is drawn.
_AT_ONCE = BoundedSemaphore(3)
DRAWING = "1"  # raise when pictures come out differently, so that browsers ask anew


@dataclass(frozen=True)
class Shown:
    image: tables.Image
    prediction: tables.Prediction | None


@bp.get("/api/v1/images/<int:image_id>/display")
@bp.output(FileSchema(), content_type=PNG)
@needs(Role.VIEWER)
def display(image_id: int) -> Response:
    """The radiograph, 8-bit grey."""
    shown = _look_at(image_id)
    return _picture("display", shown.image.stored_sha256, lambda: _draw_display(shown))


@bp.get("/api/v1/images/<int:image_id>/thumbnail")
@bp.output(FileSchema(), content_type=PNG)
@needs(Role.VIEWER)
def thumbnail(image_id: int) -> Response:
    """The radiograph, 128 pixels on its longer side."""
    shown = _find(image_id)
    return _picture("thumbnail", shown.image.sha256, lambda: _draw_thumbnail(shown))


@bp.get("/api/v1/images/<int:image_id>/heatmap.png")
@bp.output(FileSchema(), content_type=PNG)
@needs(Role.VIEWER)
def heatmap(image_id: int) -> Response:
    """Where the network looked: transparent where it did not, to be laid over the display."""
    shown = _look_at(image_id)
    prediction = _predicted(shown)
    return _picture("heatmap", str(prediction.id), lambda: _draw_heatmap(prediction))


@bp.get("/api/v1/images/<int:image_id>/overlay.png")
@bp.output(FileSchema(), content_type=PNG)
@needs(Role.VIEWER)
def overlay(image_id: int) -> Response:
    """Both in one picture."""
    shown = _look_at(image_id)
    key = f"{shown.image.stored_sha256}-{_predicted(shown).id}"
    return _picture("overlay", key, lambda: _draw_overlay(shown))


def _look_at(image_id: int) -> Shown:
    """Thumbnails aside: lists show many, and too small to read."""
    shown = _find(image_id)
    record_picture(image_id, study_id=shown.image.study_id or 0)
    return shown


def _find(image_id: int) -> Shown:
    with current_context().sessions() as session:
        image = get_image(session, image_id)
        if image is None or image.stored_sha256 is None:
            abort(404, "there is no picture of this image")
        point = current_context().settings.operating_point
        return Shown(image, get_prediction(session, image, operating_point=point))


def _predicted(shown: Shown) -> tables.Prediction:
    if shown.prediction is None:
        abort(404, "this image has no prediction yet")
    return shown.prediction


def _picture(kind: str, key: str | None, draw: Callable[[], bytes]) -> Response:
    """Kept by the browser, but shown only after asking whether it may still be seen."""
    etag = f"{kind}-{DRAWING}-{key}"
    if etag in request.if_none_match:
        answer = Response(status=304)
    else:
        answer = Response(draw(), mimetype=PNG)
    answer.headers["Content-Disposition"] = f'inline; filename="{kind}.png"'
    answer.set_etag(etag)
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


# Decoders are imported when the first picture is drawn: they are half of the portal's start.


def _draw_display(shown: Shown) -> bytes:
    from pipeline.inference.drawing import display_png

    with _AT_ONCE:
        return display_png(_decode(shown.image))


def _draw_thumbnail(shown: Shown) -> bytes:

    return thumbnail_png(shown.image, current_context().store)


def _draw_heatmap(prediction: tables.Prediction) -> bytes:
    from models.reading.predictions import read_heatmap
    from pipeline.inference.drawing import heatmap_png

    # The page stretches it over the display, so its own shape is free.
    return heatmap_png(read_heatmap(prediction), size=(448, 448))


def _draw_overlay(shown: Shown) -> bytes:
    from models.reading.predictions import read_heatmap
    from pipeline.inference.drawing import overlay_png

    with _AT_ONCE:
        return overlay_png(_decode(shown.image), read_heatmap(_predicted(shown)))


def _decode(image: tables.Image):  # type: ignore[no-untyped-def]
    from pipeline.decode.decode import decode

    assert image.stored_sha256 is not None
    return decode(current_context().store.path(image.stored_sha256))


SIDE = 128


def thumbnail_png(image: tables.Image, store: FileStore) -> bytes:
    """The network's input is squashed to a square; this restores the picture's own shape."""
    from PIL import Image

    squashed = Image.fromarray(store.network_input(image.sha256, PREPROCESSING))
    small = squashed.resize(_size(image.columns or 1, image.rows or 1), Image.Resampling.BOX)
    target = io.BytesIO()
    small.save(target, "PNG", compress_level=1)
    return target.getvalue()


def _size(width: int, height: int) -> tuple[int, int]:
    scale = SIDE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))
