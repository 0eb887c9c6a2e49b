"""Settings are strict and say in one line what is wrong."""

import re
from pathlib import Path
from typing import get_args

import pytest

from models.config.settings import NO_PORT, PREFIX, Settings, SettingsError
from pipeline.types import OperatingPoint


def problem() -> str:
    """Nothing where the environment is fine."""
    try:
        Settings.read()
    except SettingsError as error:
        return str(error)
    return ""


def problem_with(name: str, value: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        return problem()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DATA", "", "expected a path; it is empty"),
        ("DATA", "~/overread", "expected a path without ~, which is the shell's"),
        ("HOST", "", "expected a name or address of this machine, such as 127.0.0.1"),
        ("HOST", "http://here", "expected a name or address of this machine, such as 127.0.0.1"),
        ("PORT", "many", "Input should be a valid integer"),
        ("PORT", "70000", "Input should be less than or equal to 65535"),
        ("CHUNK_SIZE", "0", "Input should be greater than or equal to 1"),
        ("MAX_ATTEMPTS", "9" * 30, "Input should be less than or equal to 10000"),
        ("OPERATING_POINT", "Sensitive", "Input should be 'balanced' or 'sensitive'"),
        ("PREVALENCE", "10", "expected a share above 0 and below 1, such as 0.1"),
        ("NIGHT_AT", "24:00", "expected a time of day such as 02:00, or nothing for never"),
        (
            "TIME_ZONE",
            "../../etc/passwd",
            "expected the name of a time zone, such as Europe/Berlin",
        ),
        ("TRAIN_BASE_SHARE", "1", "Input should be less than 1"),
        ("DATABASE_URL", "sqlite:///:memory:", "expected a file's path after sqlite:///"),
        ("BROKER_URL", "redis://:secret@host/name", "expected the number of a database after the"),
        ("DATABASE_URL", "postgresql+psycopg://me:secret@host:port/db", NO_PORT),
        ("BROKER_URL", "redis://:se/cret@host/0", NO_PORT),
    ],
)
def test_wrong_setting_is_reported_with_what_is_expected(name: str, value: str, said: str) -> None:
    assert problem_with(f"{PREFIX}{name}", value).startswith(f"{PREFIX}{name}: {said}")


ODD = ("", " ", "secret", "-1", "1.5", "nan", "9" * 30, "two\nlines", "mysql://me:secret@host/db")


@pytest.mark.parametrize("field", Settings.model_fields)
def test_wrong_setting_is_one_line_that_names_the_variable_not_its_value(field: str) -> None:
    name = f"{PREFIX}{field.upper()}"
    said = [problem for value in ODD if (problem := problem_with(name, value))]
    assert said
    for line in said:
        assert re.fullmatch(f"{name}: [^\n]+", line)
        assert "secret" not in line


def test_contradicting_settings_are_both_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERREAD_CHUNK_TIME_LIMIT_S", "10")
    monkeypatch.setenv("OVERREAD_DECODE_TIMEOUT_S", "11")
    assert problem() == (
        "OVERREAD_DECODE_TIMEOUT_S: expected at most OVERREAD_CHUNK_TIME_LIMIT_S, which is 10: "
        "a file would outlast its chunk"
    )


@pytest.mark.parametrize("name", ["OVERREAD_CHUNK_SIZ", "overread_chunk_siz"])
def test_unknown_setting_is_reported_with_the_closest_name(name: str) -> None:
    said = f"{name}: unknown setting; did you mean OVERREAD_CHUNK_SIZE?"
    assert problem_with(name, "3") == said
    assert problem_with("OVERREAD_XYZ", "3") == "OVERREAD_XYZ: unknown setting"


def test_settings_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OVERREAD_DATA", str(tmp_path))
    monkeypatch.setenv("OVERREAD_CHUNK_SIZE", "8")
    settings = Settings.read()
    assert (settings.data_dir, settings.chunk_size) == (tmp_path, 8)
    assert settings.is_sqlite


@pytest.mark.parametrize("host", ["::1", "::", "[::1]", "[::ffff:127.0.0.1]"])
def test_ipv6_host_may_be_in_brackets(host: str) -> None:
    assert Settings(host=host).host == host.strip("[]")


def test_path_of_a_socket_has_the_length_of_the_kernel() -> None:
    path = "/" + "s" * 106
    Settings(broker_url=f"redis+socket://:pw@{path}?virtual_host=1")
    with pytest.raises(ValueError, match="at most 107 bytes"):
        Settings(broker_url=f"redis+socket://:pw@{path}s?virtual_host=1")


@pytest.mark.parametrize(
    "url",
    [
        "redis://:p%40%3A%2F%23%25w@[::1]:6379/0",
        "redis://:p@w@127.0.0.1:6379/0",
        "rediss://user:pw@broker.example.org/1",
    ],
)
def test_broker_url_may_hold_an_ipv6_address_and_quoted_signs(url: str) -> None:
    assert Settings(broker_url=url).broker_url == url


def test_settings_know_every_operating_point() -> None:
    field = Settings.model_fields["operating_point"]
    assert get_args(field.annotation) == get_args(OperatingPoint)
    assert Settings().operating_point == "balanced"


def test_time_limits_are_derived_from_one_number() -> None:
    settings = Settings(chunk_time_limit_s=100, train_time_limit_s=1000)
    assert settings.lease_s == 100
    assert settings.soft_chunk_time_limit_s == 90
    assert settings.visibility_timeout_s == 1100


def test_there_is_no_cache_without_a_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERREAD_DATA", str(tmp_path / "data"))
    assert Settings.read().cache_dir is None
    (tmp_path / "data").mkdir()
    assert Settings.read().cache_dir == tmp_path / "data" / "cache"
