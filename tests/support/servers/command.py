"""`overread` in this process, as a shell would call it."""

from click.testing import CliRunner, Result

from cli.main import main


def run(*arguments: object, **environment: str) -> Result:
    """environment: such as OVERREAD_DATA."""
    return CliRunner(env=environment).invoke(main, [str(argument) for argument in arguments])
