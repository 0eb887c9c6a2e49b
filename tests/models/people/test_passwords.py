"""Which passwords are good enough; what finding out costs."""

import time

import pytest

from models.people.passwords import hash_password, is_right, objection

PASSWORD, ANOTHER = "quiet rooms at dusk", "seven grey pigeons"


def test_an_unknown_name_costs_as_much_as_a_wrong_password() -> None:
    kept = hash_password(PASSWORD)
    costs = [(cost_of(kept), cost_of(None)) for _ in range(5)]
    # The least of each: whatever else runs here makes some dearer, and none cheaper.
    of_kept, of_none = (min(each) for each in zip(*costs, strict=True))
    assert 0.5 < of_kept / of_none < 2


def cost_of(hashed: str | None) -> float:
    began = time.process_time()  # of all threads
    assert not is_right(ANOTHER, hashed)
    return time.process_time() - began


def test_accents_count_however_they_were_typed() -> None:
    assert is_right("cafe\u0301 in the morning", hash_password("caf\u00e9 in the morning"))


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "at least 12"),
        ("12345678901", "at least 12"),
        ("x" * 1001, "at most 1000"),
        ("123456789012", "first that anyone"),
        ("Password2024!!", "first that anyone"),
        ("QWERTYuiopasd", "first that anyone"),
        ("correct horse battery staple", "first that anyone"),
        ("aaaaaaaaaaaaaaaa", "first that anyone"),
        ("Olga.Petrova", "more than the name"),
        ("olga.petrova2024", "more than the name"),
        ("a few quiet words", None),
        ("ελληνικά και άλλα", None),
        ("7b2e9d04c1aa", None),
    ],
)
def test_a_password_is_long_and_not_obvious_and_that_is_all(
    password: str, says: str | None
) -> None:
    against = objection(password, name="olga.petrova")
    assert (against is None) if says is None else says in str(against)
