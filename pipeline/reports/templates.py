"""Jinja environment of the reports."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.text import percent, plural, probability_percent
from pipeline.upright import describe_orientation


def render(template: str, **values: Any) -> str:
    """Render a template beside this file; HTML is escaped. Missing values raise."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    functions = (cell, describe_orientation, figure, percent, plural, probability_percent)
    environment.filters |= {function.__name__: function for function in functions}
    return environment.get_template(template).render(**values)


def cell(value: object) -> str:
    """Return text for a cell of a Markdown table, which must be of one line."""
    return str(value).replace("|", "\\|")


def figure(value: Any) -> str:
    """Return `0.938 (0.913 to 0.961)` of a metric with its interval; a dash without a value."""
    if isinstance(value, Mapping) and value["value"] is not None:
        return f"{figure(value['value'])} ({figure(value['low'])} to {figure(value['high'])})"
    if value is None or isinstance(value, Mapping):
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
