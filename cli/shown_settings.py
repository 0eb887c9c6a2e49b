"""Settings as they may be shown: no password, no token."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import SecretStr

from cli.settings import CommandSettings


def shown_settings(settings: CommandSettings) -> Iterator[tuple[str, str, bool]]:
    """Name as in the environment, value, and whether it was set."""
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        yield field.upper(), _shown(value), field in settings.model_fields_set


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else "-"
    text = "" if value is None else str(value)
    return masked(text) if "://" in text else text or "-"


def masked(url: str) -> str:
    """A URL may carry a password between ":" and "@"."""
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":********@") if password else url
