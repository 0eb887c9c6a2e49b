"""All commands: fast help, exit codes, errors in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import COMMANDS
from tests.support.servers.command import run

LIGHT = COMMANDS.keys() - {
    "train",
    "evaluate",
    "import-dataset",
    "audit",
    "backup",
    "restore",
    "verify",
}
HELP = f"""
import sys
from cli.main import main
for arguments in ([], *([name] for name in {LIGHT})):
    main([*arguments, "--help"], standalone_mode=False)
print("LOADED", *{{name.split(".")[0] for name in sys.modules}})
for name in {COMMANDS.keys() - LIGHT}:
    main([name, "--help"], standalone_mode=False)
"""


def test_every_command_has_help_and_few_import_heavy_packages() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert done.stdout.count("Usage: ") == 1 + len(COMMANDS)
    loaded = set(done.stdout.split("LOADED")[1].splitlines()[0].split())
    heavy = "numpy openvino sqlalchemy celery flask tensorflow httpx rich pydantic redis"
    assert not loaded & set(heavy.split())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nonsense"], "No such command"),
        (["predict"], "Missing argument"),
        (["predict", __file__, "--operating-point", "bold"], "'bold' is not one of"),
        (["results", "--format", "xml"], "'xml' is not one of"),
        (["jobs", "--cancel"], "require a job ID"),
        (["jobs", "x", "--close", "--cancel"], "exclude each other"),
        (["jobs", "x", "--give-up-missing"], "requires --close"),
    ],
)
def test_usage_errors_exit_with_2(arguments: list[str], complaint: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_invalid_setting_is_named(tmp_path: Path) -> None:
    result = run("jobs", OVERREAD_DATA=str(tmp_path), OVERREAD_PORT="many")

    assert result.exit_code == 2
    assert "OVERREAD_PORT" in result.stderr
    assert result.stderr.count("\n") == 1


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
