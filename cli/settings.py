"""Settings of the command line: those of the service, and where a remote one is."""

import re
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator

from cli.fatal import UsageProblem
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
