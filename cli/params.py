"""A path on the command line."""

import os
from pathlib import Path
from typing import Any

import click


class GivenPath(click.Path):
    """Not the current folder where a script's variable is empty.

    What cannot be read is said by whoever reads it: of many files, the others are read.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, readable=False, **options)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if value == "":
            self.fail("it is empty", param, ctx)
        return super().convert(value, param, ctx)
