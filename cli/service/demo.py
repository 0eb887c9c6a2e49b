"""`overread demo`"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import click

from cli.lockfile import AlreadyRunningError
from cli.params import GivenPath
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
    """Start the service, read radiographs, print the results, and serve until Ctrl-C.

    The radiographs are generated and show no real person.
    """
    from cli.service.start import print_already_running, print_running, start_service, usable_port
    from cli.settings import read_settings

    settings = read_settings()
    if "port" not in settings.model_fields_set and not usable_port(settings.host, settings.port):
        settings = settings.model_copy(update={"port": 0})
    # Closed to others before any patient's file is put there.
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = studies or _generated_studies(settings.data_dir)
    Walk([folder]).count()  # reports an unusable folder before anything starts
    log_path = settings.data_dir / "service.log"
    click.echo(f"Starting; log: {log_path}", err=True)
    with log_path.open("a") as log:
        try:
            with start_service(settings, log=log) as (supervisor, service):
                print_running(settings, service.url)
                with _submission(settings.data_dir, folder) as submission:
                    while submission.poll() is None and not supervisor.is_stopping:
                        supervisor.step(timeout_s=0.2)
                    if supervisor.is_stopping:  # Ctrl-C has reached it too, SIGTERM has not
                        submission.send_signal(signal.SIGINT)
                if not supervisor.is_stopping:
                    click.echo("\nServing until Ctrl-C. For another login: overread login-link")
                    supervisor.run()
        except AlreadyRunningError:
            _submission(settings.data_dir, folder).wait()
            print_already_running(settings)


def _submission(data_dir: Path, folder: Path) -> "subprocess.Popen[bytes]":
    """A process of its own, so that Ctrl-C ends it while the supervisor stops the others."""
    command = [sys.executable, "-m", "cli", "submit", str(folder), "--wait"]
    environment = {**os.environ, "OVERREAD_DATA": str(data_dir)}
    return subprocess.Popen(command, env=environment)


def _generated_studies(data_dir: Path) -> Path:
    folder = data_dir / "demo-studies"
    if not folder.exists():
        from pipeline.phantom.studies import write_phantom_studies

        click.echo("Generating radiographs", err=True)
        with new_folder(folder) as partial:
            write_phantom_studies(partial)
    return folder
