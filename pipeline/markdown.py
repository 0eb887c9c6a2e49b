"""Small pieces of Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The first column names its row; cells must not contain a line break."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def figure_text(figure: Mapping[str, float | None] | float | str | None) -> str:
    """`0.938 (0.913 to 0.961)`; a dash where there is no value."""
    if not isinstance(figure, Mapping):
        return _number(figure)
    if figure["value"] is None:
        return _number(None)
    return f"{_number(figure['value'])} ({_number(figure['low'])} to {_number(figure['high'])})"


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _cell(cell: object) -> str:
    return str(cell).replace("|", "\\|")
