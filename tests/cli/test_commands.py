"""All commands: fast help, exit codes, errors in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import COMMANDS
from tests.support.servers.command import run

LIGHT = COMMANDS.keys() - {"train", "evaluate", "import-dataset", "audit", "backup", "restore"}
HELP = f"""
import sys
from cli.main import main
for arguments in ([], *([name] for name in {LIGHT})):
    main([*arguments, "--help"], standalone_mode=False)
print("LOADED", *{{name.split(".")[0] for name in sys.modules}})
"""


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert done.stdout.count("Usage: ") == 1 + len(LIGHT)
    loaded = set(done.stdout.split("LOADED")[1].split())
    heavy = "numpy openvino sqlalchemy celery flask tensorflow httpx rich pydantic redis"
    assert not loaded & set(heavy.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    assert run(command, "--help").exit_code == 0


@pytest.mark.parametrize("command", ["predict", "submit"])
def test_missing_path_is_one_line(command: str, tmp_path: Path) -> None:
    result = run(command, tmp_path / "missing", OVERREAD_DATA=str(tmp_path))

    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    # `submit` looks for a service first.
    assert "missing: no such file" in result.stderr or "overread up" in result.stderr


@pytest.mark.parametrize("arguments", [["predict"], ["results", "--format", "xml"], ["nonsense"]])
def test_usage_errors_exit_with_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_invalid_setting_is_named(tmp_path: Path) -> None:
    result = run("jobs", OVERREAD_DATA=str(tmp_path), OVERREAD_PORT="many")

    assert result.exit_code == 2
    assert "OVERREAD_PORT" in result.stderr


def test_remote_service_requires_a_token(tmp_path: Path) -> None:
    result = run("jobs", OVERREAD_DATA=str(tmp_path), OVERREAD_URL="http://127.0.0.1:9")

    assert result.exit_code == 2
    assert "OVERREAD_TOKEN" in result.stderr


def test_damaged_training_config_is_a_usage_error(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{")

    result = run("train", tmp_path, "--output", tmp_path / "out", "--config", config)

    assert result.exit_code == 2
    assert "not valid JSON or TOML" in result.stderr
