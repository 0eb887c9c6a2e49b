"""PNG images for pages, drawn from the de-identified file and the stored heatmap."""

import logging
from typing import Literal, cast

import numpy as np
from apiflask import APIBlueprint
from apiflask.schemas import FileSchema
from flask import Response, abort, current_app, request
from numpy.typing import NDArray
from werkzeug.wsgi import wrap_file

from models.files.damage import Damage, note_damage
from models.files.pictures import DRAWING, picture_name
from models.files.presence import require_store
from models.reading.predictions import get_prediction, read_heatmap
from models.tables.intake import Image
from models.tables.people import Role
from pipeline.errors import DamagedFileError, DecoderError
from web.auth.rules import needs, person
from web.auth.view_log import record_image
from web.context import current_context, current_settings, read_session, write_session
from web.http.limits import PICTURES, at_most
from web.reading.renderer import Renderer, open_decoder
from web.reading.schemas import PictureQuery

log = logging.getLogger(__name__)

bp = APIBlueprint("images", __name__, tag="Images")

Kind = Literal["display", "thumbnail", "heatmap", "overlay"]
PNG = "image/png"
KEY = "overread-renderer"


@bp.get("/api/v1/images/<int:image_id>/display")
@bp.input(PictureQuery, location="query")
@bp.output(FileSchema(), content_type=PNG)
@at_most(PICTURES)
@needs(Role.VIEWER)
def display(image_id: int, query_data: PictureQuery) -> Response:
    """The radiograph, 8-bit grey, upright as the network read it."""
    return _png(image_id, "display", query_data)


@bp.get("/api/v1/images/<int:image_id>/thumbnail")
@bp.input(PictureQuery, location="query")
@bp.output(FileSchema(), content_type=PNG)
@at_most(PICTURES)
@needs(Role.VIEWER)
def thumbnail(image_id: int, query_data: PictureQuery) -> Response:
    """The radiograph, 128 pixels on its longer side. Too small to read, so not in the audit."""
    return _png(image_id, "thumbnail", query_data)


@bp.get("/api/v1/images/<int:image_id>/heatmap.png")
@bp.input(PictureQuery, location="query")
@bp.output(FileSchema(), content_type=PNG)
@at_most(PICTURES)
@needs(Role.VIEWER)
def heatmap(image_id: int, query_data: PictureQuery) -> Response:
    """The heatmap, to be laid over the display.

    One scale for all images: transparent without activation, the last colour from 1 logit.
    """
    return _png(image_id, "heatmap", query_data)


@bp.get("/api/v1/images/<int:image_id>/overlay.png")
@bp.input(PictureQuery, location="query")
@bp.output(FileSchema(), content_type=PNG)
@at_most(PICTURES)
@needs(Role.VIEWER)
def overlay(image_id: int, query_data: PictureQuery) -> Response:
    """The radiograph with the heatmap over it, on one scale for all images."""
    return _png(image_id, "overlay", query_data)


def _png(image_id: int, kind: Kind, query: PictureQuery) -> Response:
    """Cached by the browser, which must ask before each use whether it may still show it."""
    has_heatmap = kind in ("heatmap", "overlay")
    with read_session() as session:
        image = session.get(Image, image_id)
        if image is None or image.stored_sha256 is None:
            abort(404, "no pixels to show: the image was not read")
        point = current_settings().operating_point
        prediction = get_prediction(session, image, operating_point=point)
    if kind != "thumbnail":
        record_image(image_id, study_id=image.study_id or 0)
    if has_heatmap and prediction is None:
        abort(404, "this image has no prediction yet")
    heatmap = read_heatmap(prediction) if prediction and has_heatmap else None
    orientation = prediction.orientation or 0 if prediction and not query.as_stored else 0
    drawn = f"{prediction.id}" if prediction and has_heatmap else ""
    etag = f"{kind}-{DRAWING}.{orientation}-{image.stored_sha256}-{drawn}"
    if etag in request.if_none_match:
        answer = Response(status=304)
    else:
        answer = _draw(kind, image, heatmap, orientation)
    answer.headers["Content-Disposition"] = f'inline; filename="{kind}.png"'
    answer.set_etag(etag)
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


def _draw(
    kind: Kind, image: Image, heatmap: NDArray[np.float32] | None, orientation: int
) -> Response:
    try:
        if kind == "display" or kind == "overlay":
            return _radiograph(str(image.stored_sha256), heatmap, orientation)
        # Pillow is imported with the first image.
        from web.reading.drawing import draw_heatmap, draw_thumbnail

        if heatmap is not None:
            return Response(draw_heatmap(heatmap, orientation=orientation), mimetype=PNG)
        store = current_context().store
        return Response(draw_thumbnail(image, store, orientation=orientation), mimetype=PNG)
    except FileNotFoundError:
        require_store(current_context().store.root)
        _note_damage(kind, image)
        abort(404, "no pixels to show: the file is missing")
    except DamagedFileError as error:
        log.error("image %d cannot be shown: %s", image.id, error)
        _note_damage(kind, image)
        abort(404, "no pixels to show: the file is damaged")
    except DecoderError as error:
        log.error("%s", error)
        abort(503, "no image can be drawn at present: no decoder process starts")


def _note_damage(kind: Kind, image: Image) -> None:
    """Network inputs are then made again within the hour; what proves intact is forgotten."""
    found = Damage("stored", str(image.stored_sha256))
    if kind == "thumbnail":
        found = Damage("inputs", image.sha256)
    with write_session() as session:
        note_damage(session, [found])


def _radiograph(
    stored_sha256: str, heatmap: NDArray[np.float32] | None, orientation: int
) -> Response:
    renderer = _renderer()
    name = picture_name(stored_sha256, heatmap, orientation=orientation)
    found = renderer.pictures.open(name)
    if found is None:
        user_id = person().id
        png = renderer.draw(stored_sha256, heatmap, orientation=orientation, user_id=user_id)
        return Response(png, mimetype=PNG)
    answer = Response(wrap_file(request.environ, found.file), mimetype=PNG, direct_passthrough=True)
    answer.content_length = found.size
    return answer


def _renderer() -> Renderer:
    if KEY not in current_app.extensions:
        context = current_context()
        new = Renderer(context.settings, context.store, open_decoder=open_decoder)
        current_app.extensions.setdefault(KEY, new)  # another thread may have been first
    return cast(Renderer, current_app.extensions[KEY])
