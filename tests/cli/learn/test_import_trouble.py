"""Imports that are cut off, overtaken by a purge, or refused."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cli.errors import Failed
from cli.learn.dataset_layout import open_dataset
from cli.learn.importing import _Import
from models.context import AppContext
from models.files.orphans import find_orphans
from models.files.purge import purge_step
from models.intake.jobs import close_job
from models.learning.datasets import NewImage
from models.tables.intake import State
from models.tables.learning import ImportedImage, Label
from pipeline.evaluation.leakage import Leak
from tests.support.data.rows import a_job, an_image
from tests.support.servers.command import run as overread
from tests.support.servers.imports import count, rows, run, write, write_public_set
from tests.support.servers.processes import hearing_ctrl_c


class PurgedImport(_Import):
    """Imports as any; at its last look at the images a purge takes one that a job had, too."""

    def _leaks(self, images: Sequence[NewImage]) -> list[Leak]:
        found = super()._leaks(images)
        with self.context.sessions.begin() as session:
            job = a_job(session)
            close_job(session, job.id)
            row = an_image(session, job, state=State.REJECTED)
            row.sha256 = images[0].sha256
        purge_step(self.context.sessions, self.context.store, job.id, user_id=None)
        return found


def test_what_a_purge_takes_meanwhile_is_made_anew(context: AppContext, tmp_path: Path) -> None:
    folder = write_public_set(tmp_path / "public")
    small = replace(context, settings=context.settings.model_copy(update={"decode_processes": 1}))
    with pytest.raises(Failed, match="what the network reads of 1 images"):
        PurgedImport(small, "public", open_dataset(folder)).run()
    assert rows(context) == {}
    assert run(folder, context)
    assert len(rows(context)) == 6
    assert find_orphans(context.sessions, context.store) == []


FILES = 60  # more than are read ahead
# The command, which presses Ctrl-C on itself when it keeps the eleventh of what it makes.
INTERRUPTED = """
import os, signal, sys
from cli.main import main

names = []

def watch(event, about):
    if event == "os.rename" and "/inputs/" in os.fsdecode(about[1]):
        names.append(about[1])
        if len(names) == 11:
            os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(watch)
main()
"""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_interrupted_import_shows_nothing_and_goes_on(
    context: AppContext, tmp_path: Path
) -> None:
    folder = tmp_path / "public"
    for seed in range(FILES):
        write(folder / "NORMAL" / f"person{seed}_virus_1.png", seed=seed)
    typed = [sys.executable, "-c", INTERRUPTED, "import-dataset", str(folder)]
    environment = {
        "OVERREAD_DATA": str(context.settings.data_dir),
        "OVERREAD_DECODE_PROCESSES": "1",
        "PATH": "/usr/bin:/bin",
    }
    with hearing_ctrl_c():
        done = subprocess.run(typed, env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        130,
        "Error: interrupted; the same command goes on where this one was",
    )
    assert count(context, ImportedImage) == 0
    inputs = context.store.root / "inputs"
    made = {path.name: path.stat().st_mtime_ns for path in inputs.glob("*/*/*")}
    assert 10 <= len(made) < FILES
    assert run(folder, context)
    assert (count(context, ImportedImage), count(context, Label)) == (FILES, FILES)
    again = {path.name: path.stat().st_mtime_ns for path in inputs.glob("*/*/*")}
    assert made.items() <= again.items(), "what was made is not made again"


@pytest.mark.parametrize(
    ("made", "name", "complaint"),
    [
        ("elsewhere", None, "no such folder"),
        ("set/other", None, "expected folders NORMAL and PNEUMONIA, or train, val, test"),
        ("set/NORMAL", "site", "'site' is no name for a set"),
        ("set/NORMAL", "=1+1", "is no name for a set"),
        ("set/NORMAL", None, "there is no labelled image in it"),
    ],
)
def test_what_cannot_be_imported_is_one_line(
    tmp_path: Path, made: str, name: str | None, complaint: str
) -> None:
    (tmp_path / made).mkdir(parents=True)
    arguments = ["import-dataset", str(tmp_path / "set"), *(["--name", name] if name else [])]
    result = overread(*arguments, OVERREAD_DATA=str(tmp_path / "data"))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert complaint in result.stderr
