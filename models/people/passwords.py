"""Passwords: which are good enough (NIST SP 800-63B, 3.1.1), and how they are kept."""

import re
import unicodedata
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

MIN_LENGTH = 12
MAX_LENGTH = 1000
MIN_LETTERS = 5  # different ones
MIN_OWN_LETTERS = 8  # besides the name
# What people think of first when twelve letters are asked for: such words, alone, repeated or with
# digits, and what lies side by side on keyboards.
OBVIOUS_WORDS = (
    *("password", "passwort", "passphrase", "secret", "administrator", "admin", "changeme"),
    *("letmein", "welcome", "iloveyou", "sunshine", "football", "princess", "dragon", "monkey"),
    *("qwerty", "qwertz", "radiologist", "radiology", "chestradiograph", "radiograph", "hospital"),
    *("pneumonia", "overread", "correcthorsebatterystaple"),
)
OBVIOUS_ROWS = (
    "1234567890" * 3,
    "0987654321" * 3,
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "qwertyuiopasdfghjklzxcvbnm1234567890",
    "qwertzuiopasdfghjklyxcvbnm1234567890",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
)

_hasher = PasswordHasher()
# Right parameters, no password: comparing with it costs what any comparison costs.
_NOBODYS = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    f"${'A' * 22}${'A' * 43}"
)
# Each takes 64 MiB for a tenth of a second; many at once must not take the memory of everybody.
_AT_ONCE = BoundedSemaphore(4)


def objection(password: str, *, name: str) -> str | None:
    """Why this cannot be the password of that user, in one sentence; None where it can."""
    plain = _normal(password).casefold()
    if len(password) < MIN_LENGTH:
        return f"a password needs at least {MIN_LENGTH} characters; a few words are easily kept"
    if len(password) > MAX_LENGTH:
        return f"a password may have at most {MAX_LENGTH} characters"
    if len(set(plain)) < MIN_LETTERS or _is_obvious(plain):
        return "this password is among the first that anyone would try; choose another"
    if len(plain.replace(name.casefold(), "")) < MIN_OWN_LETTERS:
        return "a password must be more than the name; choose another"
    return None


def hash_password(password: str) -> str:
    with _AT_ONCE:
        return _hasher.hash(_normal(password))


def is_right(password: str, kept: str | None) -> bool:
    """kept: None where there is no user or no password; finding that out takes as long."""
    if not 0 < len(password) <= MAX_LENGTH:  # nobody's
        return False
    with _AT_ONCE:
        try:
            _hasher.verify(kept or _NOBODYS, _normal(password))
        except VerificationError:
            return False
    return kept is not None


def is_outdated(kept: str) -> bool:
    """Made with other parameters than today's."""
    return _hasher.check_needs_rehash(kept)


def _is_obvious(plain: str) -> bool:
    letters = re.sub(r"[\W\d_]", "", plain)
    for word in OBVIOUS_WORDS:
        if letters and not letters.replace(word, ""):
            return True
    return any(plain in row for row in OBVIOUS_ROWS)


def _normal(password: str) -> str:
    """The same whichever keyboard composed its accents."""
    return unicodedata.normalize("NFKC", password)
