"""PNG images for pages, drawn on request from the de-identified file and the stored heatmap."""

from typing import Literal

from apiflask import APIBlueprint
from apiflask.schemas import FileSchema
from flask import Response, abort, request

from models.reading.predictions import get_prediction, read_heatmap
from models.tables.intake import Image
from models.tables.people import Role
from web.auth.rules import needs
from web.auth.view_log import record_image
from web.context import current_context, current_settings, read_session

bp = APIBlueprint("images", __name__, tag="Images")

Kind = Literal["display", "thumbnail", "heatmap", "overlay"]
PNG = "image/png"
DRAWING = "1"  # raise when drawings change, so that browsers fetch them again


@bp.get("/api/v1/images/<int:image_id>/display")
@bp.output(FileSchema(), content_type=PNG)
@needs(Role.VIEWER)
def display(image_id: int) -> Response:
    """The radiograph, 8-bit grey."""
    return _png(image_id, "display")


@bp.get("/api/v1/images/<int:image_id>/thumbnail")
@bp.output(FileSchema(), content_type=PNG)
@needs(Role.VIEWER)
def thumbnail(image_id: int) -> Response:
    """The radiograph, 128 pixels on its longer side. Too small to read, so not in the audit."""
    return _png(image_id, "thumbnail")


@bp.get("/api/v1/images/<int:image_id>/heatmap.png")
@bp.output(FileSchema(), content_type=PNG)
@needs(Role.VIEWER)
def heatmap(image_id: int) -> Response:
    """The heatmap, to be laid over the display; transparent where the activation is low."""
    return _png(image_id, "heatmap")


@bp.get("/api/v1/images/<int:image_id>/overlay.png")
@bp.output(FileSchema(), content_type=PNG)
@needs(Role.VIEWER)
def overlay(image_id: int) -> Response:
    """The radiograph with the heatmap over it."""
    return _png(image_id, "overlay")


def _png(image_id: int, kind: Kind) -> Response:
    """Cached by the browser, which must ask before each use whether it may still show it."""
    has_heatmap = kind in ("heatmap", "overlay")
    with read_session() as session:
        image = session.get(Image, image_id)
        if image is None or image.stored_sha256 is None:
            abort(404, "no pixels to show: the image was not read")
        point = current_settings().operating_point
        prediction = get_prediction(session, image, operating_point=point) if has_heatmap else None
    if kind != "thumbnail":
        record_image(image_id, study_id=image.study_id or 0)
    if has_heatmap and prediction is None:
        abort(404, "this image has no prediction yet")
    etag = f"{kind}-{DRAWING}-{image.stored_sha256}-{prediction.id if prediction else ''}"
    if etag in request.if_none_match:
        answer = Response(status=304)
    else:
        # Decoders are half of the portal's start, so they are imported with the first image.
        from web.reading.drawing import draw

        heat = read_heatmap(prediction) if prediction else None
        answer = Response(draw(kind, image, heat, current_context().store), mimetype=PNG)
    answer.headers["Content-Disposition"] = f'inline; filename="{kind}.png"'
    answer.set_etag(etag)
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer
