"""Decoding and de-identification under coverage-guided fuzzing; see `atheris_run`."""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["pipeline", "pydicom", "PIL"]):
    from tests.fuzz import seeds, targets
    from tests.fuzz.atheris_run import run
    from tests.fuzz.mutations import kind_of

if __name__ == "__main__":
    dicoms = {f"dicom {name}": content for name, content in seeds.dicoms().items()}
    run(targets.read_file, seeds.pictures() | dicoms, kind_of)
