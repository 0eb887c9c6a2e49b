"""The `overread` command. Each subcommand's file is imported only when that subcommand runs."""

import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Any

import click

from cli.errors import one_line_errors

# By name: the folder of its file, which has the same name, and the line that `--help` shows.
COMMANDS = {
    "demo": ("service", "Start the service, read sample radiographs, keep serving."),
    "up": ("service", "Start the service on this machine."),
    "doctor": ("service", "Check settings, connections and stored data."),
    "submit": ("submit", "Send files, folders or zips to a running service."),
    "jobs": ("remote", "List jobs; show, close, cancel or retry one."),
    "results": ("remote", "Print or save results."),
    "label": ("remote", "Send a CSV file of labels to a running service."),
    "night": ("remote", "List nightly trainings; start or cancel one."),
    "predict": ("predict", "Predict files on this machine, without a service."),
    "train": ("learn", "Train a network on labelled images."),
    "evaluate": ("learn", "Evaluate a network on labelled images."),
    "import-dataset": ("learn", "Import a labelled data set."),
    "versions": ("remote", "List model versions and the production history."),
    "promote": ("remote", "Promote a model version to production."),
    "roll-back": ("remote", "Return to the previous production version."),
    "reread": ("remote", "Predict earlier images with the production version."),
    "users": ("remote", "List, add and change users."),
    "tokens": ("remote", "List, create and revoke API tokens."),
    "login-link": ("service", "Print a one-time login link."),
    "migrate": ("service", "Upgrade the database to this release."),
    "audit": ("admin", "Print, verify or export the audit log."),
    "verify": ("admin", "Compare stored files, versions or a backup with their hashes."),
    "purge": ("remote", "Delete finished jobs with their data."),
    "backup": ("admin", "Back up the service while it runs."),
    "restore": ("admin", "Restore a backup into a new data folder."),
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"cli.{COMMANDS[cmd_name][0]}.{name}")
        command: click.Command = getattr(module, name)
        return command

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with one_line_errors():  # --help prints here
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> object:
        with one_line_errors():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _prepare_streams() -> None:
    """Accept closed streams (`>&-`), and encodings that cannot express every file name."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  kept open
        getattr(sys, name).reconfigure(errors="backslashreplace")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="overread")
@click.option("-v", "--verbose", is_flag=True, help="Log more, to stderr.")
def main(verbose: bool) -> None:
    """Overread gives chest radiographs a second reading, in bulk.

    Research use only: not a medical device, not for diagnosis.

    Exit codes: 0 success; 1 failure, also of single files; 2 usage error; 130 interrupted.
    """
    _prepare_streams()
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # Its INFO lines repeat the URL of every request.
    logging.getLogger("httpx").setLevel(logging.WARNING)
