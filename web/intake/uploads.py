"""Routes of declared files: declare them, list them, send them whole or in pieces."""

import re
from contextlib import suppress
from typing import Any, BinaryIO, cast

from apiflask import APIBlueprint
from flask import Response, abort, request
from werkzeug.exceptions import ClientDisconnected

from models.intake.jobs import require_job, require_open
from models.intake.uploads import (
    Declared,
    NoUploadError,
    TooManyUploadsError,
    declare,
    list_uploads,
    require_uploads,
)
from models.tables.intake import Upload
from models.tables.people import Role
from web.auth.rules import needs, record_action
from web.auth.view_log import record_part_of_job, record_upload
from web.context import current_context, read_session, write_session
from web.http.disk import DiskFullError, check_room, noticing_full_disk
from web.http.errors import answer
from web.http.forms import clean_file_name
from web.http.limits import takes
from web.intake.batch import take_batch
from web.intake.handover import NotHandedOverError, take_handed_over
from web.intake.pieces import MAX_PIECE_BYTES, PieceError, take_piece
from web.intake.schemas import (
    BatchOut,
    BatchQuery,
    DeclaredFiles,
    HandedOver,
    PieceOut,
    UploadOut,
    UploadsOut,
    UploadsPageOut,
    UploadsQuery,
)

bp = APIBlueprint("uploads", __name__, tag="Uploads")

PAGE_SIZE = 1000
DECLARATION_BYTES = 8 * 2**20  # 1,000 of the longest paths that Linux has
# The first is that of tus, an open protocol for resumable uploads.
PIECES = ("application/offset+octet-stream", "application/octet-stream")
LIST = "/api/v1/jobs/<job_id>/uploads"
HANDED_OVER = "/api/v1/jobs/<job_id>/uploads/handed-over"
ONE = "/api/v1/jobs/<job_id>/uploads/<int:upload_id>"


@bp.post(LIST)
@bp.input(DeclaredFiles)
@bp.output(UploadsOut)
@bp.doc(responses=[409, 507])
@takes(DECLARATION_BYTES)
@needs(Role.OPERATOR)
def declare_files(job_id: str, json_data: DeclaredFiles) -> UploadsOut:
    """Declare files before sending them, so that missing ones are noticed.

    Declaring a file again returns the same upload. Small files are then sent several in one
    request, large ones in pieces.
    """
    files = [
        Declared(clean_file_name(one.file), one.size, one.sha256 or "") for one in json_data.files
    ]
    check_room(current_context())
    with noticing_full_disk(), write_session() as session:
        require_open(session, job_id)
        try:
            uploads = declare(session, job_id=job_id, files=files)
        except TooManyUploadsError as error:
            abort(409, str(error))
        record_action(session, "files.declared", job_id)
    return UploadsOut(uploads=[_describe(upload) for upload in uploads])


@bp.get(LIST)
@bp.input(UploadsQuery, location="query")
@bp.output(UploadsPageOut)
@needs(Role.VIEWER)
def list_page(job_id: str, query_data: UploadsQuery) -> UploadsPageOut:
    """List declared files and how much of each has arrived."""
    with read_session() as session:
        require_job(session, job_id)
        found = list_uploads(
            session, job_id, state=query_data.state, page=query_data.page, page_size=PAGE_SIZE
        )
    record_part_of_job(job_id)
    return UploadsPageOut(uploads=[_describe(upload) for upload in found.items], next=found.next)


@bp.patch(LIST)
@bp.input(BatchQuery, location="query")
@bp.output(BatchOut)
@bp.doc(responses=[409, 413, 415, 422, 507])
@takes(MAX_PIECE_BYTES)
@needs(Role.OPERATOR)
def send_batch(job_id: str, query_data: BatchQuery) -> BatchOut:
    """Send small declared files, their bytes back to back in the order of `ids`.

    Each one is as long as it was declared. Sending files again changes nothing. A file with
    another SHA-256 than declared stays missing, the others arrive. After an interrupted request,
    the files that were sent whole have arrived.
    """
    body, ids = _body(), [int(one) for one in query_data.ids.split(",")]
    with read_session() as session:
        require_open(session, job_id)  # checked again with the rows
        uploads = require_uploads(session, job_id=job_id, upload_ids=ids)
    expected = sum(upload.size for upload in uploads)
    if (request.content_length or 0) != expected:
        abort(422, f"expected {expected} bytes, the declared sizes of these files")
    try:
        batch = take_batch(current_context(), job_id=job_id, uploads=uploads, body=body)
    except DiskFullError:
        record_upload(job_id)  # of the files that arrived before
        raise
    if any(sent.status == "arrived" for sent in batch.uploads):
        record_upload(job_id)
    return batch


@bp.post(HANDED_OVER)
@bp.input(HandedOver)
@bp.output(BatchOut)
@bp.doc(responses=[409, 507])
@needs(Role.OPERATOR)
def hand_over(job_id: str, json_data: HandedOver) -> BatchOut:
    """Take small declared files from the service's own machine.

    For `overread submit` there: it has put copies beside the file store, under names that hold the
    token. They are checked as if they had been sent.
    """
    with read_session() as session:
        require_open(session, job_id)  # checked again with the rows
        uploads = require_uploads(session, job_id=job_id, upload_ids=json_data.ids)
    try:
        batch = take_handed_over(
            current_context(), job_id=job_id, uploads=uploads, token=json_data.token
        )
    except NotHandedOverError as error:
        abort(422, str(error))
    if any(sent.status == "arrived" for sent in batch.uploads):
        record_upload(job_id)
    return batch


@bp.patch(ONE)
@bp.output(PieceOut)
@bp.doc(responses=[409, 413, 415, 422, 507])
@takes(MAX_PIECE_BYTES + 1)  # `take_piece` refuses a longer one, and says where it starts
@needs(Role.OPERATOR)
def send_piece(job_id: str, upload_id: int) -> tuple[PieceOut, int, dict[str, str]]:
    """Send the next piece of a declared file; the last piece completes it.

    `Upload-Offset` is the number of bytes sent before this piece. After the last one, size and
    SHA-256 are checked and a zip is unpacked. An empty piece completes a file whose last piece
    was interrupted.
    """
    offset, body = _offset(), _body()
    piece = take_piece(
        current_context(), job_id=job_id, upload_id=upload_id, offset=offset, body=body
    )
    if piece.arrived:
        record_upload(job_id)
    return piece, 200, {"Upload-Offset": str(piece.received)}


@bp.app_errorhandler(NoUploadError)
def _no_upload(_: NoUploadError) -> Response:
    return answer(404, "upload not found")


@bp.app_errorhandler(PieceError)
def _refused_piece(error: PieceError) -> Response:
    response = answer(error.status, str(error))
    response.headers["Upload-Offset"] = str(error.received)
    return response


def describe_pieces(spec: dict[str, Any]) -> dict[str, Any]:
    """APIFlask cannot see a body that is not JSON, nor its header."""
    batch = spec["paths"]["/api/v1/jobs/{job_id}/uploads"]["patch"]
    piece = spec["paths"]["/api/v1/jobs/{job_id}/uploads/{upload_id}"]["patch"]
    body = {"schema": {"type": "string", "format": "binary", "maxLength": MAX_PIECE_BYTES}}
    for operation in (batch, piece):
        operation["requestBody"] = {"content": dict.fromkeys(PIECES, body)}
    offset = {"type": "integer", "minimum": 0}
    piece["parameters"].append(
        {"in": "header", "name": "Upload-Offset", "required": True, "schema": offset}
    )
    piece["responses"]["200"]["headers"] = {"Upload-Offset": {"schema": offset}}
    return spec


class _Body:
    """The request's body. If the connection breaks, the bytes that arrived count."""

    def read(self, size: int) -> bytes:
        """Nothing at its end."""
        with suppress(ClientDisconnected):
            return request.stream.read(size)
        return b""


def _body() -> BinaryIO:
    if request.mimetype not in PIECES:
        abort(415, f"expected the content type {PIECES[0]}")
    return cast(BinaryIO, _Body())


def _offset() -> int:
    offset = request.headers.get("Upload-Offset", "")
    if not re.fullmatch("[0-9]{1,16}", offset):
        abort(422, "expected a header `Upload-Offset` with a number of bytes")
    return int(offset)


def _describe(upload: Upload) -> UploadOut:
    return UploadOut.of(upload, arrived=upload.arrived_at is not None)
