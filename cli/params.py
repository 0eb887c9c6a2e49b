"""Types of command line parameters."""

import os
from pathlib import Path
from typing import Any

import click


class GivenPath(click.Path):
    """Refuses an empty path, as of an unset shell variable: it would be the current folder.

    Unreadable paths are reported by the command, which may read the others.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, readable=False, **options)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)
