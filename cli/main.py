"""The `overread` command. Each subcommand's file is imported only when that subcommand runs."""

import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Any

import click

from cli.errors import in_one_line

# Name -> file and function, and the line that `overread --help` shows without importing it.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("cli.service.demo:demo", "Start everything, read some radiographs, keep serving."),
    "up": ("cli.service.up:up", "Start the service on this machine."),
    "doctor": ("cli.service.doctor:doctor", "Say what is set, what is reachable, what is wrong."),
    "submit": ("cli.submit.submit:submit", "Send files, folders or zips to a running service."),
    "jobs": ("cli.remote.jobs:jobs", "List jobs; show, close, cancel or retry one."),
    "results": ("cli.remote.results:results", "Print or save results."),
    "label": ("cli.remote.label:label", "Send a table of labels to a running service."),
    "night": ("cli.remote.night:night", "List the nights, run one now, or cancel it."),
    "predict": ("cli.predict.predict:predict", "Read files here and now; no service needed."),
    "train": ("cli.learn.train:train", "Train a network on a folder of labelled images."),
    "evaluate": ("cli.learn.evaluate:evaluate", "Measure a network on labelled images."),
    "import-dataset": (
        "cli.learn.import_dataset:import_dataset",
        "Import labelled images, for training and comparing.",
    ),
    "versions": ("cli.remote.versions:versions", "List model versions and what was live when."),
    "promote": ("cli.remote.promote:promote", "Make a model version live."),
    "roll-back": ("cli.remote.roll_back:roll_back", "Go back to the version that was live before."),
    "reread": ("cli.remote.reread:reread", "Read earlier images again with the live version."),
    "users": ("cli.remote.users:users", "List users, add them, change what they may."),
    "tokens": ("cli.remote.tokens:tokens", "List your API tokens, make one, revoke one."),
    "login-link": ("cli.service.login_link:login_link", "Print a link that logs in once."),
    "migrate": ("cli.service.migrate:migrate", "Bring the database to the newest tables."),
    "audit": ("cli.admin.audit:audit", "Print, verify or save who did what."),
    "purge": (
        "cli.remote.purge:purge",
        "Delete jobs that ended long ago; first say what would go.",
    ),
    "backup": ("cli.admin.backup:backup", "Save everything, while the service works on."),
    "restore": ("cli.admin.restore:restore", "Fill a new data folder from a backup."),
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
        with in_one_line():  # --help prints here
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> object:
        with in_one_line():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _make_streams_take_all() -> None:
    """Closed ones (`>&-`), and those whose encoding lacks what a file may be called."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  for good
        getattr(sys, name).reconfigure(errors="backslashreplace")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="overread")
@click.option("-v", "--verbose", is_flag=True, help="Log more, to stderr.")
def main(verbose: bool) -> None:
    """Overread gives chest radiographs a second reading, in bulk.

    Research use only: not a medical device, not for diagnosis.

    Exit codes: 0 all went well; 1 some of it did not, or nothing could be done; 2 asked for
    wrongly; 130 interrupted.
    """
    _make_streams_take_all()
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # Its INFO lines repeat every request's address.
    logging.getLogger("httpx").setLevel(logging.WARNING)
