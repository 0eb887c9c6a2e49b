"""Request bodies: JSON, forms whose files are spooled to disk, and file names made safe."""

import re
import unicodedata
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from flask import Request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import (
    BadRequest,
    RequestEntityTooLarge,
    UnprocessableEntity,
    UnsupportedMediaType,
)
from werkzeug.formparser import FormDataParser

from pipeline.text import unique_name
from web.context import current_context
from web.http.disk import check_room, noticing_full_disk

SPOOL = 4 * 2**20  # a part larger than this goes to disk at once
SMALL_FORM = 64 * 2**20  # parts of a larger form, or one of unknown size, go to disk earlier
SPOOL_OF_LARGE_FORM = 128 * 2**10
MAX_TOKENS = 20_000  # in one JSON body: 1,000 files or labels of a few fields
# Strings and separators. The end of a string is optional, so that hostile text is read only once.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[,\[{]', re.DOTALL)
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


class JsonProvider(DefaultJSONProvider):
    def loads(self, s: str | bytes, **options: Any) -> Any:
        return super().loads(s, parse_float=_number, **options)


def _number(text: str) -> float:
    """In JSON, 7.0 is a whole number."""
    value = float(text)
    return int(value) if value.is_integer() else value


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

    def get_data(self, *args: Any, **kwargs: Any) -> Any:
        """werkzeug cuts a body of unknown length at the limit, as if that were all of it."""
        body = super().get_data(*args, **kwargs)
        if self.content_length is None and len(body) == self.max_content_length:
            raise RequestEntityTooLarge
        return body

    def get_json(self, *args: Any, **kwargs: Any) -> Any:
        """An empty body is the same as an empty object."""
        body = self.get_data()
        if not body:
            return {}
        if not self.is_json:
            raise UnsupportedMediaType("expected the content type application/json")
        _check_size(body)
        try:
            content = super().get_json(*args, **kwargs)
        except RecursionError:
            raise BadRequest("the JSON is nested too deeply") from None
        if content is None:
            raise UnprocessableEntity("expected a JSON object, not null")
        return content

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        raise BadRequest("the body is not valid JSON")


def _check_size(body: bytes) -> None:
    """A parsed value takes up to twenty times the memory of its text, so count before parsing."""
    if any(islice(_TOKEN.finditer(body), MAX_TOKENS, None)):
        raise BadRequest(f"the JSON has more than {MAX_TOKENS:,} strings and separators")


def spooled_file(total_content_length: int | None, *_: Any, **__: Any) -> IO[bytes]:
    """Temporary storage of a part, on the file store's disk, whose free space is checked."""
    check_room(current_context(), wanted=total_content_length or 0)
    store = current_context().store
    folder = store.make_folder(store.temporary)
    is_small = total_content_length is not None and total_content_length <= SMALL_FORM
    spool = SPOOL if is_small else SPOOL_OF_LARGE_FORM
    return cast(IO[bytes], SpooledTemporaryFile(max_size=spool, dir=str(folder)))


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
