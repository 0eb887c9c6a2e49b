"""Request bodies: limits, large forms spooled to disk, and file names made safe."""

import unicodedata
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from apiflask import APIFlask
from flask import Request, request
from werkzeug.exceptions import BadRequest
from werkzeug.formparser import FormDataParser

from models.config.settings import Settings
from models.files.store import make_private_folder
from pipeline.text import unique_name
from web.context import current_context
from web.http.disk import check_room, noticing_full_disk

SPOOL = 4 * 2**20  # a part larger than this goes to disk at once
SMALL_FORM = 64 * 2**20  # parts of a larger form, or one of unknown size, go to disk earlier
SPOOL_OF_LARGE_FORM = 128 * 2**10
MAX_PARTS = 500  # files in one request, each of which may take an open file
MAX_BODY = 32 * 2**20  # of any other request
TAKES_FILES = "jobs.send"  # the only view that accepts large forms
FORM_OVERHEAD = 16 * 2**20  # headers of that many parts, with long names
MAX_NAME_LENGTH = 1024
MAX_FOLDER_LENGTH = 255


class StrictParser(FormDataParser):
    """Refuses a malformed form; werkzeug treats it as an empty one, so files would be lost."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            with noticing_full_disk():
                return super().parse(*args, **kwargs)
        except ValueError:
            raise BadRequest("the form is incomplete or malformed") from None


class PortalRequest(Request):
    def make_form_data_parser(self) -> FormDataParser:
        return StrictParser(
            stream_factory=spooled_file,
            max_form_memory_size=self.max_form_memory_size,
            max_content_length=self.max_content_length,
            max_form_parts=self.max_form_parts,
            cls=self.parameter_storage_class,
            silent=False,
        )

    def get_json(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_json(*args, **kwargs)
        except RecursionError:
            raise BadRequest("the JSON is nested too deeply") from None

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        """An empty body is the same as an empty object."""
        return super().on_json_loading_failed(e) if self.get_data() else {}


def spooled_file(total_content_length: int | None, *_: Any, **__: Any) -> IO[bytes]:
    """Temporary storage of a part, on the file store's disk, whose free space is checked."""
    check_room(current_context(), wanted=total_content_length or 0)
    folder = make_private_folder(current_context().store.temporary)
    is_small = total_content_length is not None and total_content_length <= SMALL_FORM
    spool = SPOOL if is_small else SPOOL_OF_LARGE_FORM
    return cast(IO[bytes], SpooledTemporaryFile(max_size=spool, dir=str(folder)))


def install_limits(app: APIFlask, settings: Settings) -> None:
    app.request_class = PortalRequest
    app.config["MAX_CONTENT_LENGTH"] = settings.max_archive_bytes + FORM_OVERHEAD
    app.config["MAX_FORM_PARTS"] = MAX_PARTS
    app.before_request(_limit_body)


def _limit_body() -> None:
    """Only the files of a form go to disk; every other body is held in memory."""
    if request.endpoint != TAKES_FILES or request.mimetype != "multipart/form-data":
        request.max_content_length = MAX_BODY


def clean_file_name(raw: str) -> str:
    """A relative path with "/" between its parts: no root, drive, ".." or control characters."""
    parts = (_clean_part(part) for part in unique_name(raw).replace("\\", "/").split("/"))
    kept = [part for part in parts if part and part not in (".", "..")]
    if kept and len(kept[0]) == 2 and kept[0][1] == ":":
        kept = kept[1:]
    # The end tells most: the file's own name and its folder.
    return "/".join(kept)[-MAX_NAME_LENGTH:].lstrip("/") or "unnamed"


def _clean_part(part: str) -> str:
    return unicodedata.normalize("NFC", part).strip()[-MAX_FOLDER_LENGTH:]
