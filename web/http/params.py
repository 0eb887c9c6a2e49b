"""Parameters of requests: row ids in paths, query strings, forms."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

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


def check_query(view: Callable[..., Any]) -> None:
    """Refuse parameters that a view of the API does not take, and repeated ones."""
    model = view.__annotations__.get("query_data")
    known = model.model_fields if model else ()
    for name, values in request.args.lists():
        if name not in known:
            abort(422, f"{name}: unknown parameter")
        if len(values) > 1:
            abort(422, f"{name}: given more than once")


def read_query(kind: type[Fields]) -> Fields:
    return _read(kind, request.args)


def read_form(kind: type[Fields]) -> Fields:
    return _read(kind, request.form)


def _read(kind: type[Fields], sent: Mapping[str, str]) -> Fields:
    """Unknown and empty parameters are ignored: forms send them, and pages are linked to."""
    stripped = {name: value.strip() for name, value in sent.items() if name in kind.model_fields}
    try:
        return kind.model_validate_strings({name: one for name, one in stripped.items() if one})
    except ValidationError as error:
        abort(422, f"{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}")
