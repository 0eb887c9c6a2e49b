"""Row ids in paths, and query parameters of pages."""

from typing import TypeVar

from flask import abort, request
from pydantic import BaseModel, ValidationError
from werkzeug.routing import IntegerConverter

LARGEST = 2**31 - 1  # what an integer column of the databases holds


class RowId(IntegerConverter):
    """`int` in a path. A number too large for the database becomes 0, which no row has."""

    def to_python(self, value: str) -> int:
        row_id = int(super().to_python(value))
        return row_id if row_id <= LARGEST else 0


Query = TypeVar("Query", bound=BaseModel)


def read_query(kind: type[Query]) -> Query:
    """Unknown and empty parameters are ignored, since forms send them."""
    names = kind.model_fields
    given = {name: value for name, value in request.args.items() if name in names and value}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        abort(422, f"{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}")
