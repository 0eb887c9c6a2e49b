"""Coverage-guided fuzzing: what the atheris_* targets share.

`python tests/fuzz/atheris_files.py -runs=100000`: arguments are libFuzzer's; folders named
behind them hold files to begin from and take what is found.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import atheris

from tests.fuzz.mutations import Choices, mutated

Target = Callable[[bytes], object]


@dataclass(frozen=True)
class Provided:
    """Choices made by the fuzzer, which keeps those that lead to new places."""

    provider: atheris.FuzzedDataProvider

    def number(self, most: int) -> int:
        return int(self.provider.ConsumeIntInRange(0, max(most, 0)))

    def content(self, most: int) -> bytes:
        return bytes(self.provider.ConsumeBytes(self.number(most)))


def run(target: Target, files: dict[str, bytes], kind_of: Callable[[str], str]) -> None:
    """Half of the inputs are taken as files themselves, half as choices that change a good one."""
    names = sorted(files)

    def look_at(data: bytes) -> None:
        if data[:1] != b"\xff":
            target(data)
            return
        choices: Choices = Provided(atheris.FuzzedDataProvider(data[1:]))
        name = names[choices.number(len(names) - 1)]
        target(mutated(files[name], kind_of(name), choices))

    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(files.values()):
            (Path(folder) / f"seed-{number}").write_bytes(content)
            (Path(folder) / f"choices-{number}").write_bytes(b"\xff" + bytes([number]) * 64)
        atheris.Setup([*sys.argv, folder, "-max_len=30000", "-rss_limit_mb=3000"], look_at)
        atheris.Fuzz()
