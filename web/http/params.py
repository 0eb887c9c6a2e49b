"""Parameters of requests: row ids in paths, query strings, forms."""

from collections.abc import Mapping
from typing import TypeVar

from flask import abort, request
from pydantic import BaseModel, ValidationError
from werkzeug.routing import IntegerConverter

LARGEST = 2**31 - 1  # what an integer column of the databases holds

Row = TypeVar("Row")
Fields = TypeVar("Fields", bound=BaseModel)


class RowId(IntegerConverter):
    """`int` in a path. A number too large for the database becomes 0, which no row has."""

    def to_python(self, value: str) -> int:
        row_id = int(super().to_python(value))
        return row_id if row_id <= LARGEST else 0


def or_404(row: Row | None, what: str) -> Row:
    if row is None:
        abort(404, f"{what} not found")
    return row


def read_query(kind: type[Fields]) -> Fields:
    return _read(kind, request.args)


def read_form(kind: type[Fields]) -> Fields:
    return _read(kind, request.form)


def _read(kind: type[Fields], sent: Mapping[str, str]) -> Fields:
    """Unknown and empty parameters are ignored, since forms send them."""
    stripped = {name: value.strip() for name, value in sent.items() if name in kind.model_fields}
    try:
        return kind.model_validate({name: value for name, value in stripped.items() if value})
    except ValidationError as error:
        abort(422, f"{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}")
