"""`overread import-dataset`: interruption and messages."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.context import AppContext
from models.tables.learning import ImportedImage, Label
from tests.support.data.imports import count, run, write
from tests.support.servers.command import run as overread
from tests.support.servers.processes import hearing_ctrl_c

FILES = 60  # more than are read ahead
# The command, which sends itself Ctrl-C when it stores the eleventh network input.
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
def test_interrupted_import_leaves_no_rows_and_is_continued(
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
        "Error: interrupted; run the same command again to continue",
    )
    assert count(context, ImportedImage) == 0
    inputs = context.store.root / "inputs"
    made = {path.name: path.stat().st_ino for path in inputs.glob("*/*/*")}
    assert 10 <= len(made) < FILES
    assert not run(folder, context).refused
    assert (count(context, ImportedImage), count(context, Label)) == (FILES, FILES)
    again = {path.name: path.stat().st_ino for path in inputs.glob("*/*/*")}
    assert made.items() <= again.items(), "stored inputs are not made again"


@pytest.mark.parametrize(
    ("made", "name", "complaint"),
    [
        ("elsewhere", None, "no such file or folder"),
        ("set/other", None, "expected folders NORMAL and PNEUMONIA, or train, val, test"),
        ("set/NORMAL", "site", "invalid dataset name 'site'"),
        ("set/NORMAL", "=1+1", "invalid dataset name '=1+1'"),
        (
            "set/NORMAL",
            None,
            "set: no labelled images; set: There is no folder PNEUMONIA",
        ),
    ],
)
def test_unusable_folder_or_name_is_one_line(
    tmp_path: Path, made: str, name: str | None, complaint: str
) -> None:
    (tmp_path / made).mkdir(parents=True)
    arguments = ["import-dataset", str(tmp_path / "set"), *(["--name", name] if name else [])]
    result = overread(*arguments, OVERREAD_DATA=str(tmp_path / "data"))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert complaint in result.stderr
