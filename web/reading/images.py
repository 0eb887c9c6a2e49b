"""PNG images for pages, drawn on request from the de-identified file and the stored heatmap.

Decoders are imported when the first image is drawn: they are half of the portal's start.
"""

import io
from collections.abc import Callable
from threading import BoundedSemaphore

from apiflask import APIBlueprint
from apiflask.schemas import FileSchema
from flask import Response, abort, request

from models.reading.predictions import get_prediction
from models.tables.intake import Image, Prediction
from models.tables.people import Role
from pipeline.types import PREPROCESSING, DecodedImage
from web.auth.rules import needs
from web.auth.view_log import record_image
from web.context import current_context, current_settings, read_session

bp = APIBlueprint("images", __name__, tag="Images")

PNG = "image/png"
THUMBNAIL_SIDE = 128
# An image of 64 million pixels takes a quarter of a gigabyte while it is drawn.
_DRAWING_SLOTS = BoundedSemaphore(3)
DRAWING = "1"  # raise when drawings change, so that browsers fetch them again


@bp.get("/api/v1/images/<int:image_id>/display")
@bp.output(FileSchema(), content_type=PNG)
@needs(Role.VIEWER)
def display(image_id: int) -> Response:
    """The radiograph, 8-bit grey."""
    image, _ = _view(image_id)
    return _png("display", image.stored_sha256, lambda: _draw_display(image))


@bp.get("/api/v1/images/<int:image_id>/thumbnail")
@bp.output(FileSchema(), content_type=PNG)
@needs(Role.VIEWER)
def thumbnail(image_id: int) -> Response:
    """The radiograph, 128 pixels on its longer side. Too small to read, so not in the audit."""
    image, _ = _find(image_id)
    return _png("thumbnail", image.sha256, lambda: _draw_thumbnail(image))


@bp.get("/api/v1/images/<int:image_id>/heatmap.png")
@bp.output(FileSchema(), content_type=PNG)
@needs(Role.VIEWER)
def heatmap(image_id: int) -> Response:
    """The heatmap, to be laid over the display; transparent where the activation is low."""
    prediction = _predicted(_view(image_id)[1])
    return _png("heatmap", str(prediction.id), lambda: _draw_heatmap(prediction))


@bp.get("/api/v1/images/<int:image_id>/overlay.png")
@bp.output(FileSchema(), content_type=PNG)
@needs(Role.VIEWER)
def overlay(image_id: int) -> Response:
    """The radiograph with the heatmap over it."""
    image, prediction = _view(image_id)
    found = _predicted(prediction)
    key = f"{image.stored_sha256}-{found.id}"
    return _png("overlay", key, lambda: _draw_overlay(image, found))


def _view(image_id: int) -> tuple[Image, Prediction | None]:
    image, prediction = _find(image_id)
    record_image(image_id, study_id=image.study_id or 0)
    return image, prediction


def _find(image_id: int) -> tuple[Image, Prediction | None]:
    with read_session() as session:
        image = session.get(Image, image_id)
        if image is None or image.stored_sha256 is None:
            abort(404, "no picture: the image was not read")
        point = current_settings().operating_point
        return image, get_prediction(session, image, operating_point=point)


def _predicted(prediction: Prediction | None) -> Prediction:
    if prediction is None:
        abort(404, "this image has no prediction yet")
    return prediction


def _png(kind: str, key: str | None, draw: Callable[[], bytes]) -> Response:
    """Cached by the browser, which must ask before each use whether it may still show it."""
    etag = f"{kind}-{DRAWING}-{key}"
    if etag in request.if_none_match:
        answer = Response(status=304)
    else:
        answer = Response(draw(), mimetype=PNG)
    answer.headers["Content-Disposition"] = f'inline; filename="{kind}.png"'
    answer.set_etag(etag)
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


def _draw_display(image: Image) -> bytes:
    from pipeline.inference.drawing import display_png

    with _DRAWING_SLOTS:
        return display_png(_decode(image))


def _draw_heatmap(prediction: Prediction) -> bytes:
    from models.reading.predictions import read_heatmap
    from pipeline.inference.drawing import heatmap_png

    # The page stretches it over the display, so any shape will do.
    return heatmap_png(read_heatmap(prediction), size=(448, 448))


def _draw_overlay(image: Image, prediction: Prediction) -> bytes:
    from models.reading.predictions import read_heatmap
    from pipeline.inference.drawing import overlay_png

    with _DRAWING_SLOTS:
        return overlay_png(_decode(image), read_heatmap(prediction))


def _decode(image: Image) -> DecodedImage:
    from pipeline.decode.decode import decode

    assert image.stored_sha256 is not None
    return decode(current_context().store.path(image.stored_sha256))


def _draw_thumbnail(image: Image) -> bytes:
    """From the network input, which is squashed to a square: restore the image's proportions."""
    from PIL import Image as Pillow

    squashed = Pillow.fromarray(current_context().store.network_input(image.sha256, PREPROCESSING))
    width, height = image.columns or 1, image.rows or 1
    scale = THUMBNAIL_SIDE / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    target = io.BytesIO()
    squashed.resize(size, Pillow.Resampling.BOX).save(target, "PNG", compress_level=1)
    return target.getvalue()
