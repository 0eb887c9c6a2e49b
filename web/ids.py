"""Numbers of rows in addresses."""

from werkzeug.routing import IntegerConverter, Map

LARGEST = 2**31 - 1  # what the databases' integers hold


class IdConverter(IntegerConverter):
    """`<int:...>`: a number beyond what any row can have leads nowhere, instead of to an error."""

    def __init__(self, map: Map) -> None:
        super().__init__(map, max=LARGEST)
