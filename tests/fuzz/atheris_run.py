"""Coverage-guided fuzzing: `python -m tests.fuzz.atheris_run files -runs=100000`.

The first argument names a target, the others are libFuzzer's; folders named last hold files to
begin with and receive those that are found.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

INSTRUMENTED = {
    "files": ["pipeline", "pydicom", "PIL"],
    "archives": ["pipeline.files.archive", "zipfile"],
    "tables": ["web.labels.csv_file", "web.http.forms"],
}


def run(name: str, arguments: list[str]) -> None:
    """Take half of the inputs as files, and half as choices that change a well-formed file."""
    with atheris.instrument_imports(include=INSTRUMENTED[name]):
        from tests.fuzz import seeds, targets
        from tests.fuzz.mutations import Choices, mutated

    class Provided(Choices):
        """Choices made by the fuzzer, which keeps those that reach new code."""

        def __init__(self, data: bytes) -> None:
            self._provider = atheris.FuzzedDataProvider(data)

        def number(self, most: int) -> int:
            return int(self._provider.ConsumeIntInRange(0, max(most, 0)))

        def content(self, most: int) -> bytes:
            return bytes(self._provider.ConsumeBytes(self.number(most)))

    suites: dict[str, tuple[Callable[[bytes], object], dict[str, bytes]]] = {
        "files": (targets.read_file, seeds.images() | seeds.dicoms()),
        "archives": (targets.read_archive, seeds.archives()),
        "tables": (targets.read_table, seeds.tables()),
    }
    target, files = suites[name]
    names = sorted(files)

    def test_one_input(data: bytes) -> None:
        if data[:1] != b"\xff":
            target(data)
            return
        choices = Provided(data[1:])
        chosen = choices.pick(names)
        target(mutated(chosen, files[chosen], choices))

    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(files.values()):
            (Path(folder) / f"seed-{number}").write_bytes(content)
            (Path(folder) / f"choices-{number}").write_bytes(b"\xff" + bytes([number]) * 64)
        atheris.Setup([*arguments, folder, "-max_len=30000", "-rss_limit_mb=3000"], test_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    run(sys.argv[1], [sys.argv[0], *sys.argv[2:]])
