"""How the portal reads large forms: parts go to disk early, in large blocks."""

from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from apiflask import APIFlask
from flask import Request, request
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import BadRequest
from werkzeug.formparser import FormDataParser, MultiPartParser

from models.config.settings import Settings
from models.files.store import make_private_folder
from web.context import current_context
from web.http.disk import check_room, noticing_full_disk

BLOCK = 256 * 1024  # four times the parser's default: fewer rounds through Python
SPOOL = 4 * 2**20  # a part larger than this goes to disk at once
SMALL_FORM = 64 * 2**20  # of a larger one, or one of unknown size, little is kept in memory
SPOOL_OF_LARGE_FORM = 128 * 2**10
MAX_PARTS = 500  # files in one request, each of which may take an open file
MAX_BODY = 32 * 2**20  # of a request that sends no such form
TAKES_FILES = "jobs.send"  # the one view whose forms may be large
FORM_OVERHEAD = 16 * 2**20  # headers of that many parts, with long names

Parsed = tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]


class Parser(FormDataParser):
    def _parse_multipart(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str],
    ) -> Parsed:
        parser = MultiPartParser(
            stream_factory=self.stream_factory,
            max_form_memory_size=self.max_form_memory_size,
            max_form_parts=self.max_form_parts,
            cls=self.cls,
            buffer_size=BLOCK,
        )
        try:
            boundary = options["boundary"].encode("ascii")
            with noticing_full_disk():
                form, files = parser.parse(stream, boundary, content_length)
        except (KeyError, ValueError):
            # The default is to go on as if nothing had been sent: files would be lost in silence.
            raise BadRequest("the form is cut off or malformed") from None
        return stream, form, files


class Incoming(Request):
    form_data_parser_class = Parser

    def get_json(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_json(*args, **kwargs)
        except RecursionError:
            raise BadRequest("the JSON is nested too deeply") from None

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        """No body at all is the same as no fields."""
        return super().on_json_loading_failed(e) if self.get_data() else {}

    def _get_file_stream(self, total_content_length: int | None, *_: Any, **__: Any) -> IO[bytes]:
        """Where a part is kept until it is stored: beside the store, whose room is watched."""
        check_room(current_context(), wanted=total_content_length or 0)
        folder = make_private_folder(current_context().store.temporary)
        is_small = total_content_length is not None and total_content_length <= SMALL_FORM
        spool = SPOOL if is_small else SPOOL_OF_LARGE_FORM
        return cast(IO[bytes], SpooledTemporaryFile(max_size=spool, dir=str(folder)))


def install_limits(app: APIFlask, settings: Settings) -> None:
    app.request_class = Incoming
    app.config["MAX_CONTENT_LENGTH"] = settings.max_archive_bytes + FORM_OVERHEAD
    app.config["MAX_FORM_PARTS"] = MAX_PARTS
    # Text fields only, but the parser also checks its block against it.
    app.config["MAX_FORM_MEMORY_SIZE"] = 4 * BLOCK
    app.before_request(_limit_body)


def _limit_body() -> None:
    """Only a form's files go to disk; every other body is held in memory."""
    if request.endpoint != TAKES_FILES or request.mimetype != "multipart/form-data":
        request.max_content_length = MAX_BODY
