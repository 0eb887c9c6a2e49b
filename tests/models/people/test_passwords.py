"""Which passwords are strong enough, and what checking one costs."""

import time

import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from models.people.passwords import MIN_LENGTH, hash_password, is_right, objection

PASSWORD, ANOTHER = "quiet rooms at dusk", "seven grey pigeons"


def test_is_right_takes_as_long_for_an_unknown_name() -> None:
    kept = hash_password(PASSWORD)
    costs = [(cost_of(kept), cost_of(None)) for _ in range(5)]
    # The least of each: whatever else runs here makes some dearer, and none cheaper.
    of_kept, of_none = (min(each) for each in zip(*costs, strict=True))
    assert 0.5 < of_kept / of_none < 2


def cost_of(hashed: str | None) -> float:
    began = time.process_time()  # of all threads
    assert not is_right(ANOTHER, hashed)
    return time.process_time() - began


def test_is_right_ignores_how_accents_were_composed() -> None:
    assert is_right("cafe\u0301 in the morning", hash_password("caf\u00e9 in the morning"))


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("short", "at least 12"),
        ("12345678901", "at least 12"),
        ("x" * 1001, "at most 1000"),
        *(
            (weak, "easy to guess")
            for weak in (
                "123456789012",
                "Password2024!!",
                "QWERTYuiopasd",
                "1qaz2wsx3edc4rfv",
                "aaaaaaaaaaaaaaaa",
                "aaaaaaaa" * 100,
                "radiologist123",
                "chestradiograph1",
                "Olga.Petrova",
                "olga.petrova2024",
                "Petrova-Olga-1985",
                "petrovapetrova",
                "Summer2026!!!",
                "P@ssw0rd1234",
                "liverpool1234",
                "michael123456",
                "trustno1trustno1",
                "1234567890ab",
                "unbelievable",
                "thoraxklinik1",
                "X-ray-viewer1",
                "Krankenhaus2026",
                "correct horse battery staple",
            )
        ),
        ("a few quiet words", None),
        ("ελληνικά και άλλα", None),
        ("7b2e9d04c1aa", None),
        ("seven grey pigeons " * 50, None),
    ],
)
def test_objection_to_short_and_guessable_passwords(password: str, expected: str | None) -> None:
    found = objection(password, name="olga.petrova")
    assert (found is None) if expected is None else expected in str(found)


def test_no_common_password_is_accepted() -> None:
    """Of the 30,000 most frequent of breaches, those that are long enough (ASVS 2.1.7)."""
    common = [word for word in FREQUENCY_LISTS["passwords"] if len(word) >= MIN_LENGTH]
    assert len(common) > 200
    assert [word for word in common if objection(word, name="olga") is None] == []
