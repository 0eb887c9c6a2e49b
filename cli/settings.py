"""Settings of the command line: those of the service, and where a remote one is.

Settings as they may be shown: no password, no token.
"""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator

from cli.errors import UsageProblem
from models.config.settings import Settings, SettingsError

REMOTE_VARIABLES = ("OVERREAD_URL", "OVERREAD_TOKEN")  # of no use to the service's own processes


class CommandSettings(Settings):
    url: str = ""  # default: the service that runs on the data folder
    token: SecretStr = SecretStr("")  # default: the data folder's

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            is_address = False
        if url and not is_address:
            raise ValueError("expected an address such as https://overread.example.org")
        return url

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: SecretStr) -> SecretStr:
        """Without the line break of the file that it came from."""
        stripped = token.get_secret_value().strip()
        if not re.fullmatch("[!-~]*", stripped):
            raise ValueError("expected a token as it was printed, in plain letters and digits")
        return SecretStr(stripped)


def read_settings() -> CommandSettings:
    try:
        return CommandSettings.read()
    except SettingsError as error:
        raise UsageProblem(str(error)) from None


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
