"""What a page's address asks for, checked like an API call's."""

from typing import TypeVar

from flask import abort, request
from pydantic import BaseModel, ValidationError

Query = TypeVar("Query", bound=BaseModel)


def read_query(kind: type[Query]) -> Query:
    """Unknown and empty parameters count as not given, as forms send them."""
    names = kind.model_fields
    given = {name: value for name, value in request.args.items() if name in names and value}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        abort(422, f"{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}")
