"""Settings of the command line: those of the service, and the URL and token of a remote one."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator

from cli.errors import UsageProblem
from models.config.settings import Settings, SettingsError

REMOTE_VARIABLES = ("OVERREAD_URL", "OVERREAD_TOKEN")  # not passed to the service's processes


class CommandSettings(Settings):
    url: str = ""  # default: the service running on the data folder
    token: SecretStr = SecretStr("")  # default: the data folder's

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            is_valid = False
        if url and not is_valid:
            raise ValueError("expected a URL such as https://overread.example.org")
        return url

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: SecretStr) -> SecretStr:
        """Strip the line break of the file it was read from."""
        stripped = token.get_secret_value().strip()
        if not re.fullmatch("[!-~]*", stripped):
            raise ValueError("expected a token of ASCII letters and digits, as it was printed")
        return SecretStr(stripped)


def read_settings() -> CommandSettings:
    try:
        return CommandSettings.read()
    except SettingsError as error:
        raise UsageProblem(str(error)) from None


def shown_settings(settings: CommandSettings) -> Iterator[tuple[str, str, bool]]:
    """Yield name, value with secrets masked, and whether it was set."""
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        if isinstance(value, SecretStr):
            shown = "********" if value.get_secret_value() else "-"
        else:
            shown = masked("" if value is None else str(value)) or "-"
        yield field.upper(), shown, field in settings.model_fields_set


def masked(text: str) -> str:
    """Replace the password of a URL ("scheme://user:password@host")."""
    password = urlsplit(text).password if "://" in text else None
    return text.replace(f":{password}@", ":********@") if password else text
