"""Settings of the command line: those of the service, and where a remote one is."""

from pydantic import SecretStr

from cli.fatal import UsageProblem
from models.settings import Settings, SettingsError

REMOTE_VARIABLES = ("OVERREAD_URL", "OVERREAD_TOKEN")  # of no use to the service's own processes


class CommandSettings(Settings):
    url: str = ""  # default: the service that runs on the data folder
    token: SecretStr = SecretStr("")  # default: the data folder's


def read_settings() -> CommandSettings:
    try:
        return CommandSettings.read()
    except SettingsError as error:
        raise UsageProblem(str(error)) from None
