"""What a script with an empty variable, or a terminal with another encoding, hands over."""

import os
from pathlib import Path

import pytest

from tests.support.servers.command import run
from tests.support.servers.served import Served

LATIN_1 = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit", "--name", LATIN_1, __file__],
        ["jobs", LATIN_1],
        ["results", "--job", LATIN_1],
        ["promote", LATIN_1],
        ["purge", "--job", LATIN_1],
        ["tokens", "add", LATIN_1, "--role", "viewer"],
    ],
)
def test_what_is_no_text_is_one_line(service: Served, arguments: list[str]) -> None:
    refused = service.run(*arguments)
    assert refused.exit_code == 2
    assert refused.stderr == "Error: what was given is no text in UTF-8\n"
    assert service.between.sent("jobs") == 0


@pytest.mark.parametrize(
    "arguments", [["backup", ""], ["restore", ""], ["audit", "--export", ""], ["predict", ""]]
)
def test_an_empty_path_is_not_the_current_folder(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = run(*arguments, OVERREAD_DATA=str(tmp_path / "data"))
    assert refused.exit_code == 2
    assert "it is empty" in refused.stderr
    assert list(tmp_path.iterdir()) == []
