"""Passwords: which are strong enough (NIST SP 800-63B, 3.1.1), and how they are kept."""

import re
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from models.slots import Slots

MIN_LENGTH = 12
MAX_LENGTH = 1000
# zxcvbn's highest score: more than 10^10 guesses.
MIN_SCORE = 4
MIN_NAME_LENGTH = 3  # of a name's part that counts as one
SCORED_LENGTH = 72  # characters; scoring takes time that grows with the square of the length
# Words that are likelier here than in zxcvbn's lists.
LOCAL_WORDS = (
    *("overread", "radiologist", "radiology", "radiograph", "chest", "pneumonia", "x-ray", "xray"),
    *("radiologie", "thorax", "hospital", "klinik", "krankenhaus"),
    *("viewer", "reader", "operator", "admin"),
    *("correcthorsebatterystaple", "correct horse battery staple"),
)

_hasher = PasswordHasher()
# Nobody's hash with today's parameters: comparing with it takes as long as with any other.
_NOBODYS = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    f"${'A' * 22}${'A' * 43}"
)
# Each takes 64 MiB for a tenth of a second.
HASHING = Slots("logins", 4, waiting=2)


def objection(password: str, *, name: str) -> str | None:
    """Why this cannot be the password of that user, in one sentence; None where it can."""
    from zxcvbn import zxcvbn  # word lists of some megabytes, needed rarely

    if len(password) < MIN_LENGTH:
        return f"a password needs at least {MIN_LENGTH} characters; a few words are easy to keep"
    if len(password) > MAX_LENGTH:
        return f"a password may have at most {MAX_LENGTH} characters"
    names = [part for part in re.split(r"[\W_]+", name) if len(part) >= MIN_NAME_LENGTH]
    # The parts of the user's name add nothing to it.
    nothing = "(?!)"  # matches nowhere
    scored = re.sub("|".join(map(re.escape, names)) or nothing, " ", _normal(password), flags=re.I)
    known = [name, *LOCAL_WORDS]
    if zxcvbn(scored[:SCORED_LENGTH], user_inputs=known)["score"] < MIN_SCORE:
        return "this password is easy to guess; add a word or two"
    return None


def hash_password(password: str) -> str:
    """Raises BusyError."""
    with HASHING.take():
        return _hasher.hash(_normal(password))


def is_right(password: str, kept: str | None) -> bool:
    """kept: None where there is no user or no password; the answer takes as long.

    The caller holds a slot of `HASHING`: from before it counts the attempt, so that none is
    counted that is not checked.
    """
    if not 0 < len(password) <= MAX_LENGTH:
        return False
    try:
        _hasher.verify(kept or _NOBODYS, _normal(password))
    except VerificationError:
        return False
    return kept is not None


def is_outdated(kept: str) -> bool:
    """Whether it was hashed with other parameters than today's."""
    return _hasher.check_needs_rehash(kept)


def _normal(password: str) -> str:
    """The same however a keyboard composes accents."""
    return unicodedata.normalize("NFKC", password)
