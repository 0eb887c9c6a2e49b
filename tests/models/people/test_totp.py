"""Codes of RFC 6238, and the addresses that authenticators scan."""

from datetime import UTC, datetime, timedelta

import pytest

from models.people.totp import (
    code_at,
    derive_secret,
    matching_step,
    otpauth_uri,
    secret_text,
    step_at,
)

SECRET = b"12345678901234567890"  # of RFC 6238, appendix B
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    assert code_at(SECRET, step_at(datetime.fromtimestamp(seconds, UTC))) == code


@pytest.mark.parametrize("apart", range(-3, 4))
def test_codes_one_step_apart_are_accepted(apart: int) -> None:
    step = step_at(NOW) + apart
    found = matching_step(SECRET, code_at(SECRET, step), moment=NOW)
    assert found == (step if abs(apart) <= 1 else None)


@pytest.mark.parametrize("code", ["", "0", "1234567", "abcdef", "१२३४५६"])
def test_other_texts_are_no_codes(code: str) -> None:
    assert matching_step(SECRET, code, moment=NOW + timedelta(hours=1)) is None


def test_uri_names_user_and_issuer() -> None:
    uri = otpauth_uri(SECRET, name="olga@x y")
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert uri == f"otpauth://totp/Overread%3Aolga%40x%20y?secret={secret}&issuer=Overread"
    assert secret_text(SECRET) == secret


def test_secret_follows_from_nonce_and_key() -> None:
    secrets = {derive_secret(nonce, key=key) for nonce in "ab" for key in ("k", "l")}
    assert len(secrets) == 4
    assert {len(secret) for secret in secrets} == {20}
