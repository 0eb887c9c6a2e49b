"""Tables of labels under coverage-guided fuzzing; see `atheris_run`."""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["web.labels.csv_file", "web.http.forms"]):
    from tests.fuzz import seeds, targets
    from tests.fuzz.atheris_run import run

if __name__ == "__main__":
    run(targets.read_table, seeds.tables(), lambda _: "csv")
