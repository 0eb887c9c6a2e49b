"""Numbers of rows in addresses."""

from flask import Flask
from werkzeug.routing import IntegerConverter

LARGEST = 2**31 - 1  # what an integer column of the databases holds


class RowId(IntegerConverter):
    """`int` in a path. What no database can count to is 0, which no row has, and no error."""

    def to_python(self, value: str) -> int:
        row_id = int(super().to_python(value))
        return row_id if row_id <= LARGEST else 0


def install_ids(app: Flask) -> None:
    app.url_map.converters["int"] = RowId
