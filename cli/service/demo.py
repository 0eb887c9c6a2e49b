"""`overread demo`

`overread demo`, put together.

    generated studies -> service (started, or found running) -> link -> submit --wait -> serve

The submission is a process of its own, as a user's would be: it draws its own bar, and Ctrl-C
ends it while the supervisor goes on to stop everything in order.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import click

from cli.lockfile import AlreadyRunningError
from cli.params import GivenPath
from cli.service.start import StoppedError, free_port, is_free, start_service
from cli.service.supervisor import Supervisor
from cli.service.up import say_already_running, say_where
from cli.settings import CommandSettings, read_settings
from cli.walk import Walk
from pipeline.atomic_file import new_folder


@click.command()
@click.option(
    "--studies",
    metavar="DIR",
    type=GivenPath(),
    help="Read this folder instead of generated radiographs.",
)
def demo(studies: Path | None) -> None:
    """Start everything, read some radiographs, show the results, and keep serving.

    The radiographs are generated and show no one.
    """

    demonstrate(studies)


def demonstrate(studies: Path | None) -> None:
    settings = _settle_port(read_settings())
    # Before anything is put there: files of patients will be.
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = studies or _generated_studies(settings.data_dir)
    Walk([folder]).count()  # says what is wrong with it before anything starts
    log_path = settings.data_dir / "service.log"
    click.echo(f"Starting; the processes' log is {log_path}", err=True)
    with log_path.open("a") as log:
        try:
            with start_service(settings, log=log) as (supervisor, service):
                say_where(settings, service.url)
                _read_while_serving(supervisor, settings, folder)
                if not supervisor.is_stopping:
                    click.echo("\nStill serving, until Ctrl-C. Another login: overread login-link")
                    supervisor.run()
        except AlreadyRunningError:
            subprocess.run(_submission(folder), env=_environment(settings), check=False)
            say_already_running(settings)
        except StoppedError:
            pass


def _read_while_serving(supervisor: Supervisor, settings: CommandSettings, folder: Path) -> None:
    with subprocess.Popen(_submission(folder), env=_environment(settings)) as submission:
        while submission.poll() is None:
            supervisor.step(timeout_s=0.2)
            if supervisor.is_stopping:
                # Ctrl-C has reached it too, SIGTERM has not.
                submission.send_signal(signal.SIGINT)
                return


def _submission(folder: Path) -> list[str]:
    return [sys.executable, "-m", "cli", "submit", str(folder), "--wait"]


def _environment(settings: CommandSettings) -> dict[str, str]:
    return {**os.environ, "OVERREAD_DATA": str(settings.data_dir)}


def _generated_studies(data_dir: Path) -> Path:
    folder = data_dir / "demo-studies"
    if not folder.exists():
        from pipeline.phantom.studies import write_phantom_studies

        click.echo("Drawing radiographs that show no one", err=True)
        with new_folder(folder) as partial:
            write_phantom_studies(partial)
    return folder


def _settle_port(settings: CommandSettings) -> CommandSettings:
    """A demonstration is content with any port, unless one was asked for."""
    if "port" in settings.model_fields_set or is_free(settings.host, settings.port):
        return settings
    return settings.model_copy(update={"port": free_port(settings.host)})
