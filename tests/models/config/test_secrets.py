"""The installation's secrets: nobody else's to read, and never replaced or repaired."""

import json
import os
import stat
from dataclasses import asdict
from pathlib import Path

import pytest

from models.config.secrets import (
    SECRETS_FILE,
    SecretsError,
    new_secrets,
    read_secrets,
    write_private,
    write_secrets,
)

WHOLE = asdict(new_secrets())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_secrets(tmp_path, new_secrets())
        write_private(tmp_path / "token", "x")
    finally:
        os.umask(before)
    assert {path.name: mode(path) for path in tmp_path.iterdir()} == {
        "secrets.json": 0o600,
        "token": 0o600,
    }


def test_write_secrets_keeps_those_that_exist(tmp_path: Path) -> None:
    first = new_secrets()
    write_secrets(tmp_path, first)
    write_secrets(tmp_path, new_secrets())
    assert read_secrets(tmp_path) == first


def test_secrets_are_long_unique_and_not_in_repr() -> None:
    first, second = new_secrets(), new_secrets()
    for ours, theirs in zip(asdict(first).values(), asdict(second).values(), strict=True):
        assert len(ours) >= 32
        assert ours != theirs
        assert ours not in repr(first)
    assert first.fingerprint != second.fingerprint
    assert first.identity_key_hex not in first.fingerprint


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe\x00",
        *(json.dumps(WHOLE | {name: bad}).encode() for name in WHOLE for bad in ("", "short", 7)),
        *(
            json.dumps({name: WHOLE[name] for name in WHOLE if name != gone}).encode()
            for gone in WHOLE
        ),
        json.dumps(WHOLE | {"identity_key_hex": "zz" * 32}).encode(),
        json.dumps(WHOLE | {"broker_password": "a password with spaces"}).encode(),
    ],
)
def test_unusable_secrets_are_refused_in_one_line_without_values(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / SECRETS_FILE
    path.write_bytes(content)
    with pytest.raises(SecretsError) as error:
        read_secrets(tmp_path)
    assert str(path) in str(error.value)
    assert "restore it from a backup" in str(error.value)
    assert "\n" not in str(error.value)
    assert not any(value in str(error.value) for value in WHOLE.values())
    assert path.read_bytes() == content


def test_missing_secrets_are_not_made(tmp_path: Path) -> None:
    with pytest.raises(SecretsError, match="is missing: restore it from a backup"):
        read_secrets(tmp_path)
    assert list(tmp_path.iterdir()) == []
