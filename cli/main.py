"""The `overread` command. Each subcommand's file is imported only when that subcommand runs."""

import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Any

import click

from cli.errors import one_line_errors

# Name -> file and function, and the line that `overread --help` shows without importing it.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("cli.service.demo:demo", "Start the service, read sample radiographs, keep serving."),
    "up": ("cli.service.up:up", "Start the service on this machine."),
    "doctor": ("cli.service.doctor:doctor", "Check settings, connections and stored data."),
    "submit": (
        "cli.submit.submit:submit",
        "Send files, folders or zips to a running service.",
    ),
    "jobs": ("cli.remote.jobs:jobs", "List jobs; show, close, cancel or retry one."),
    "results": ("cli.remote.results:results", "Print or save results."),
    "label": ("cli.remote.label:label", "Send a CSV file of labels to a running service."),
    "night": ("cli.remote.night:night", "List nightly trainings; start or cancel one."),
    "predict": ("cli.predict.predict:predict", "Predict files on this machine, without a service."),
    "train": ("cli.learn.train:train", "Train a network on labelled images."),
    "evaluate": ("cli.learn.evaluate:evaluate", "Evaluate a network on labelled images."),
    "import-dataset": (
        "cli.learn.import_dataset:import_dataset",
        "Import a labelled data set.",
    ),
    "versions": ("cli.remote.versions:versions", "List model versions and the production history."),
    "promote": ("cli.remote.promote:promote", "Promote a model version to production."),
    "roll-back": ("cli.remote.roll_back:roll_back", "Return to the previous production version."),
    "reread": ("cli.remote.reread:reread", "Predict earlier images with the production version."),
    "users": ("cli.remote.users:users", "List, add and change users."),
    "tokens": ("cli.remote.tokens:tokens", "List, create and revoke API tokens."),
    "login-link": ("cli.service.login_link:login_link", "Print a one-time login link."),
    "migrate": ("cli.service.migrate:migrate", "Upgrade the database to this release."),
    "audit": ("cli.admin.audit:audit", "Print, verify or export the audit log."),
    "purge": ("cli.remote.purge:purge", "Delete finished jobs with their data."),
    "backup": ("cli.admin.backup:backup", "Back up the service while it runs."),
    "restore": ("cli.admin.restore:restore", "Restore a backup into a new data folder."),
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
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
