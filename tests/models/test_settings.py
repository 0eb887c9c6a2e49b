"""Settings are strict and say in one line what is wrong; secrets are made once."""

import stat
from pathlib import Path
from typing import get_args

import pytest

from models.secrets import read_or_make_secrets
from models.settings import Settings, SettingsError
from pipeline.types import OperatingPoint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OVERREAD_CHUNK_SIZ", "3"),
        ("OVERREAD_CHUNK_SIZE", "three"),
        ("OVERREAD_CHUNK_SIZE", "0"),
        ("OVERREAD_PORT", "70000"),
        ("OVERREAD_DATABASE_URL", "mysql://me:secret@host/db"),
        ("OVERREAD_OPERATING_POINT", "Sensitive"),
        ("OVERREAD_OPERATING_POINT", ""),
        ("OVERREAD_BROKER_URL", "amqp://me:secret@host"),
        ("OVERREAD_NIGHT_AT", "24:00"),
        ("OVERREAD_TIME_ZONE", "Mars/Olympus"),
        ("OVERREAD_TIME_ZONE", "../../etc/passwd"),
        ("OVERREAD_TRAIN_BASE_SHARE", "1"),
        ("OVERREAD_NIGHT_POLICY", "yes"),
    ],
)
def test_a_wrong_variable_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.read()
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    assert "secret" not in message


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OVERREAD_DATA", str(tmp_path))
    monkeypatch.setenv("OVERREAD_CHUNK_SIZE", "8")
    settings = Settings.read()
    assert (settings.data_dir, settings.chunk_size) == (tmp_path, 8)
    assert settings.database == f"sqlite:///{tmp_path}/overread.sqlite3"


def test_the_operating_points_are_the_pipelines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.read().operating_point == "balanced"
    for point in get_args(OperatingPoint):
        monkeypatch.setenv("OVERREAD_OPERATING_POINT", point)
        assert Settings.read().operating_point == point


def test_every_time_limit_follows_from_one_number() -> None:
    settings = Settings(chunk_time_limit_s=100, train_time_limit_s=1000)
    assert settings.lease_s == 100
    assert settings.soft_chunk_time_limit_s == 90
    assert settings.visibility_timeout_s == 1100


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = read_or_make_secrets(folder)
    assert read_or_make_secrets(folder) == made
    assert len(made.identity_key) == 32
    assert stat.S_IMODE((folder / "secrets.json").stat().st_mode) == 0o600
    assert made.broker_password not in repr(made)
