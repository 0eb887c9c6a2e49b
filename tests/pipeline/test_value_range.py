"""The range of values that is shown: as stated, of the bits used, or of the values."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.types import RangeRule
from pipeline.value_range import ValueRange, robust_ends, used_range
from tests.support.data.builders import make_picture

TWELVE, SIXTEEN, SIGNED = (0, 4095), (0, 65535), (-32768, 32767)


def image(low: int, high: int, kind: str = "i4") -> NDArray[Any]:
    """The darkest twentieth is at the lower end, as beside the body; the brightest at the upper."""
    picture = np.clip((make_picture(top=4095) / 4095 - 0.05) / 0.9, 0, 1)
    return np.rint(low + picture * (high - low)).astype(kind)


@pytest.mark.parametrize(
    ("values", "stored", "expected", "rule"),
    [
        (image(0, 4095, "u2"), TWELVE, TWELVE, RangeRule.BITS_STORED),
        (image(0, 2100, "u2"), TWELVE, TWELVE, RangeRule.BITS_STORED),
        (image(0, 1023, "u2"), TWELVE, (0, 1023), RangeRule.BITS_USED),
        (image(0, 4095, "u2"), SIXTEEN, (0, 4095), RangeRule.BITS_USED),
        (image(0, 200, "u2"), SIXTEEN, (0, 255), RangeRule.BITS_USED),
        (image(0, 45, "u2"), SIXTEEN, (0, 50), RangeRule.PERCENTILES),
        (image(1000, 1900, "u2"), TWELVE, (1000, 2000), RangeRule.PERCENTILES),
        (image(3000, 3900, "u2"), TWELVE, (3000, 4000), RangeRule.PERCENTILES),
        (image(0, 16383, "i2"), SIGNED, (0, 16383), RangeRule.BITS_USED),
        (image(0, 32767, "i2"), SIGNED, (0, 32767), RangeRule.BITS_USED),
        (image(-30000, 30000, "i2"), SIGNED, SIGNED, RangeRule.BITS_STORED),
        (image(-500, 500, "i2"), SIGNED, (-512, 511), RangeRule.BITS_USED),
        (image(-3, 3597, "i2"), SIGNED, (-3, 3997), RangeRule.PERCENTILES),
        (image(0, 1330, "u2"), (0, 1023), (0, 1023), RangeRule.BITS_STORED),
        (image(600, 1200, "u2"), (0, 1023), (0, 1023), RangeRule.BITS_STORED),
        (image(900, 1350, "u2"), (0, 1023), (900, 1400), RangeRule.PERCENTILES),
        (image(0, 16000, "u2"), TWELVE, (0, 16383), RangeRule.BITS_USED),
        (image(0, 2**31, "u4"), (0, 2**32 - 1), (0, 2**32 - 1), RangeRule.BITS_STORED),
        (image(10, 60, "u1"), (0, 255), (0, 255), RangeRule.BITS_STORED),
        (make_picture(top=4095) / 4095, None, (0, 1), RangeRule.BITS_USED),
        (image(0, 255) / 1.0, None, (0, 255), RangeRule.BITS_USED),
        (image(-9, 9) * 2.0**90, None, (-9 * 2.0**90, 11 * 2.0**90), RangeRule.PERCENTILES),
    ],
)
def test_range_and_rule(
    values: NDArray[Any],
    stored: tuple[int, int] | None,
    expected: tuple[float, float],
    rule: RangeRule,
) -> None:
    assert used_range(values, stored=stored) == ValueRange(expected[0], expected[1], rule)


def test_narrow_range_leaves_room_above_the_brightest_pixels() -> None:
    values = image(1000, 1900, "u2")
    assert used_range(values, stored=TWELVE, is_inverse=True).low == 900


def test_burned_in_letters_change_nothing() -> None:
    values = image(0, 4095, "u2")
    values[4:10, 4:14] = 65535
    assert used_range(values, stored=SIXTEEN) == ValueRange(0, 4095, RangeRule.BITS_USED)


def test_flat_image_keeps_its_stated_range() -> None:
    values = np.zeros((64, 64), np.uint16)
    values[0, 0] = 7
    assert used_range(values, stored=TWELVE) == ValueRange(*TWELVE, RangeRule.BITS_STORED)


@given(values=st.lists(st.integers(0, 65535), min_size=1, max_size=4), places=st.randoms())
@settings(max_examples=100, deadline=None)
@pytest.mark.parametrize("top", [200, 1023, 4095, 16383, 65535])
def test_a_few_hot_and_dead_pixels_change_nothing(top: int, values: list[int], places: Any) -> None:
    good = image(0, top, "u2")
    expected = used_range(good, stored=SIXTEEN)
    for value in values:
        good[places.randrange(96), places.randrange(128)] = value
    assert used_range(good, stored=SIXTEEN) == expected


@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "i4", "f4"])
def test_ends_leave_half_a_percent_out(kind: str) -> None:
    values = np.arange(100).repeat(100).astype(kind).reshape(100, 100)
    assert robust_ends(values) == (0, 99)
    values[0, :50] = 120
    values[99, :50] = 0
    assert robust_ends(values) == (0, 99)
    values[1, 50] = 121
    assert robust_ends(values) == (0, 120)
    found, counts = np.unique(values, return_counts=True)
    assert robust_ends(found, counts=counts) == (0, 120)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (RangeRule.BITS_USED, "the smallest usual range that holds the values is shown: 0 to 1023"),
        (RangeRule.PERCENTILES, "the values lie close together: 0 to 1023 are shown from black"),
        (RangeRule.BITS_STORED, ""),
    ],
)
def test_warning_tells_the_values_shown(rule: RangeRule, words: str) -> None:
    assert ValueRange(0, 1023, rule).warning.startswith(words)
