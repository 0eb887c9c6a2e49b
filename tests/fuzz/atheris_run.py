"""Coverage-guided fuzzing: `python -m tests.fuzz.atheris_run files -runs=100000`.

The first argument names a target, the others are libFuzzer's; folders named last hold files to
begin with and receive those that are found.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import atheris

INSTRUMENTED = {
    "files": ["pipeline", "pydicom", "PIL"],
    "archives": ["pipeline.files.archive", "zipfile"],
    "tables": ["web.labels.csv_file", "web.http.forms"],
}


@dataclass(frozen=True)
class Provided:
    """Choices made by the fuzzer, which keeps those that reach new code."""

    provider: atheris.FuzzedDataProvider

    def number(self, most: int) -> int:
        return int(self.provider.ConsumeIntInRange(0, max(most, 0)))

    def content(self, most: int) -> bytes:
        return bytes(self.provider.ConsumeBytes(self.number(most)))


def run(name: str, arguments: list[str]) -> None:
    """Take half of the inputs as files, and half as choices that change a well-formed file."""
    with atheris.instrument_imports(include=INSTRUMENTED[name]):
        from tests.fuzz import seeds, targets
        from tests.fuzz.mutations import kind_of, mutated
    target: Callable[[bytes], object]
    kind: Callable[[str], str]
    if name == "files":
        files = seeds.images() | {f"dicom {one}": data for one, data in seeds.dicoms().items()}
        target, kind = targets.read_file, kind_of
    elif name == "archives":
        files, target, kind = seeds.archives(), targets.read_archive, lambda _: "zip"
    else:
        files, target, kind = seeds.tables(), targets.read_table, lambda _: "csv"
    names = sorted(files)

    def test_one_input(data: bytes) -> None:
        if data[:1] != b"\xff":
            target(data)
            return
        choices = Provided(atheris.FuzzedDataProvider(data[1:]))
        chosen = names[choices.number(len(names) - 1)]
        target(mutated(files[chosen], kind(chosen), choices))

    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(files.values()):
            (Path(folder) / f"seed-{number}").write_bytes(content)
            (Path(folder) / f"choices-{number}").write_bytes(b"\xff" + bytes([number]) * 64)
        atheris.Setup([*arguments, folder, "-max_len=30000", "-rss_limit_mb=3000"], test_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    run(sys.argv[1], [sys.argv[0], *sys.argv[2:]])
