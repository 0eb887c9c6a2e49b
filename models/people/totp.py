"""Time-based one-time codes (RFC 6238: SHA-1, six digits, 30 seconds)."""

import base64
import hmac
import struct
from datetime import datetime
from urllib.parse import quote, urlencode

STEP_S = 30
SECRET_BYTES = 20  # RFC 4226, 4: as long as SHA-1's result
ISSUER = "Overread"


def derive_secret(nonce: str, *, key: str) -> bytes:
    """Follows from the installation's key, so that the database alone gives nothing away."""
    return hmac.digest(key.encode(), f"totp {nonce}".encode(), "sha256")[:SECRET_BYTES]


def step_at(moment: datetime) -> int:
    return int(moment.timestamp()) // STEP_S


def code_at(secret: bytes, step: int) -> str:
    digest = hmac.digest(secret, struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 0xF  # RFC 4226, 5.3
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF
    return f"{number % 10**6:06d}"


def matching_step(secret: bytes, code: str, *, moment: datetime) -> int | None:
    """The step of that code: the present one, or one beside it, as clocks differ."""
    now_step = step_at(moment)
    for step in (now_step, now_step - 1, now_step + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()):
            return step
    return None


def secret_text(secret: bytes) -> str:
    """For typing it into an authenticator."""
    return base64.b32encode(secret).decode()


def otpauth_uri(secret: bytes, *, name: str) -> str:
    """What the QR code of an authenticator holds."""
    query = urlencode({"secret": secret_text(secret), "issuer": ISSUER})
    return f"otpauth://totp/{quote(f'{ISSUER}:{name}')}?{query}"
