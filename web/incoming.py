"""How the portal reads large forms: parts go to disk early, in large blocks."""

from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from apiflask import APIFlask
from flask import Request
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import BadRequest
from werkzeug.formparser import FormDataParser, MultiPartParser

from models.settings import Settings

BLOCK = 256 * 1024  # four times the parser's default: fewer rounds through Python
SPOOL = 4 * 2**20  # a part larger than this goes to disk at once
MAX_PARTS = 2000  # files in one request
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
            form, files = parser.parse(stream, boundary, content_length)
        except (KeyError, ValueError):
            # The default is to go on as if nothing had been sent: files would be lost in silence.
            raise BadRequest("the form is cut off or malformed") from None
        return stream, form, files


class Incoming(Request):
    form_data_parser_class = Parser

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        return cast(IO[bytes], SpooledTemporaryFile(max_size=SPOOL))


def install_limits(app: APIFlask, settings: Settings) -> None:
    app.request_class = Incoming
    app.config["MAX_CONTENT_LENGTH"] = settings.max_archive_bytes + FORM_OVERHEAD
    app.config["MAX_FORM_PARTS"] = MAX_PARTS
    # Text fields only, but the parser also checks its block against it.
    app.config["MAX_FORM_MEMORY_SIZE"] = 4 * BLOCK
