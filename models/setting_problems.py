"""What is wrong with a setting, in one line that names its variable and never shows its value."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

KINDS = {int: "a whole number", float: "a number"}
LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def first_problem(error: ValidationError, *, fields: Mapping[str, FieldInfo], prefix: str) -> str:
    """Of a check that concerns several settings, what the check says of them itself."""
    first = error.errors()[0]
    said = first.get("ctx", {}).get("error")  # by a check of ours
    if not first["loc"]:
        return str(said)
    name = str(first["loc"][0])
    return f"{prefix}{name.upper()}: {said or 'expected ' + _meant(fields[name])}"


def unknown_setting(variable: str, *, fields: Iterable[str], prefix: str) -> str:
    close = get_close_matches(variable[len(prefix) :].lower(), fields, n=1)
    meant = f"; is {prefix}{close[0].upper()} meant?" if close else ""
    return f"{variable}: there is no such setting{meant}"


def _meant(field: FieldInfo) -> str:
    if field.description:
        return field.description
    if field.annotation in KINDS:
        return ", ".join([KINDS[field.annotation], *_limits(field.metadata)])
    return " or ".join(map(str, get_args(field.annotation)))


def _limits(metadata: Iterable[Any]) -> Iterable[str]:
    for limit in metadata:
        for name, words in LIMITS.items():
            if hasattr(limit, name):
                yield f"{words} {getattr(limit, name)}"
