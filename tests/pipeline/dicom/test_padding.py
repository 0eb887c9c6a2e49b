"""Padding touches the border; the film's own white and black are no padding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pipeline.dicom.padding import bounding_box, has_padding_value, padding_mask
from tests.support.data.builders import make_picture

TOP = 4095
RANGE = 0, TOP
Y, X = np.mgrid[-1:1:300j, -1:1:400j]
# Saturated in its middle and down to its lower border, as a film that is exposed too little.
BRIGHTNESS = make_picture(300, 400) / 255 * (1.6 - 1.2 * np.abs(X))
SATURATED = np.clip(np.rint(BRIGHTNESS * TOP), 0, TOP).astype(np.int64)
PLAIN = 600 + SATURATED // 4  # up to 1623
SHAPES = {
    "rows": np.abs(Y) > 0.8,
    "frame": (np.abs(Y) > 0.8) | (np.abs(X) > 0.7),
    "circle": Y**2 + X**2 > 0.9,
    "turned": (np.abs(X * 0.98 + Y * 0.2) > 0.8) | (np.abs(Y * 0.98 - X * 0.2) > 0.8),
    "corner": X + Y > 0.5,
}


def mask_of(film: NDArray[np.int64], value: int, *, is_inverse: bool = False) -> NDArray[np.bool_]:
    film = film.astype(np.uint16)
    mask = padding_mask(film, (value, value), stored=RANGE, is_inverse=is_inverse)
    return np.zeros(film.shape, np.bool_) if mask is None else mask


@pytest.mark.parametrize("value", [0, TOP])
def test_saturated_film_is_no_padding(value: int) -> None:
    """White of MONOCHROME2 is the greatest value, of MONOCHROME1 the least."""
    film = SATURATED if value else TOP - SATURATED
    assert (film == value).mean() > 0.05
    assert (film[-1] == value).mean() > 0.3, "and it touches the border"
    assert not mask_of(film, value, is_inverse=value == 0).any()


def test_film_with_a_saturated_corner_is_no_padding() -> None:
    film = np.clip(np.rint((0.6 + 0.4 * (X + Y)) * TOP), 0, TOP).astype(np.int64)
    assert film[-1, -1] == TOP
    assert not mask_of(film, TOP).any()


def test_film_of_a_grey_padding_value_is_no_padding() -> None:
    noise = np.random.default_rng(0).normal(0, 60, X.shape)
    film = np.clip(np.rint((X + 1) / 2 * TOP + noise), 0, TOP).astype(np.int64) // 40 * 40
    assert (film[[0, -1]] == 1000).any()
    assert not mask_of(film, 1000).any()


@pytest.mark.parametrize("value", [0, TOP])
def test_black_padding_around_a_dark_film_is_found(value: int) -> None:
    """It is black of MONOCHROME2, or of MONOCHROME1."""
    film = np.where(SHAPES["frame"], 0, SATURATED // 40)
    film = TOP - film if value else film
    found = mask_of(film, value, is_inverse=value == TOP)
    assert found[SHAPES["frame"]].all()


@pytest.mark.parametrize("value", [0, 2000, TOP])
@pytest.mark.parametrize("shape", SHAPES)
def test_padding_of_every_shape_is_found(shape: str, value: int) -> None:
    film = np.where(SHAPES[shape], value, PLAIN)
    np.testing.assert_array_equal(mask_of(film, value), SHAPES[shape])


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_around_a_saturated_film_does_not_spread_into_it(shape: str) -> None:
    film = np.where(SHAPES[shape], TOP, SATURATED)
    found, expected = mask_of(film, TOP), SHAPES[shape]
    assert (found & ~expected).mean() < 0.01
    assert (expected & ~found).mean() < 0.01


def test_letters_in_the_padding_do_not_end_it() -> None:
    film = np.where(SHAPES["circle"], TOP, PLAIN)
    film[20:40, 20:30] = 100
    expected = SHAPES["circle"].copy()
    expected[20:40, 20:30] = False
    np.testing.assert_array_equal(mask_of(film, TOP), expected)


def test_holes_are_padding_only_where_no_film_has_their_value() -> None:
    film = PLAIN
    film[100:110, 100:110] = 60000
    assert not mask_of(np.where(film == 60000, 4000, film), 4000).any()
    np.testing.assert_array_equal(mask_of(film, 60000), film == 60000)


def test_image_of_nothing_but_padding_has_an_empty_box() -> None:
    mask = mask_of(np.full((5, 6), TOP), TOP)
    assert mask.all()
    assert bounding_box(mask) == (slice(0), slice(0))


@settings(deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_padding_is_what_steps_along_edges_reach_from_the_border(is_pad: NDArray[np.bool_]) -> None:
    """Against a plain walk; film values far from padding, so that nothing fades into it."""
    rows, columns = is_pad.shape
    expected = np.zeros_like(is_pad)
    todo = [
        (y, x) for y, x in np.ndindex(is_pad.shape) if y in (0, rows - 1) or x in (0, columns - 1)
    ]
    while todo:
        y, x = todo.pop()
        if 0 <= y < rows and 0 <= x < columns and is_pad[y, x] and not expected[y, x]:
            expected[y, x] = True
            todo += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    film = np.where(is_pad, TOP, 0)
    film[~is_pad] += np.arange((~is_pad).sum()) % 2  # a film of some range
    np.testing.assert_array_equal(mask_of(film, TOP), expected)


@pytest.mark.filterwarnings("error")
def test_limits_may_be_beyond_what_floats_hold() -> None:
    film = np.array([[-1e6, 5], [7, 9]], np.float32)
    mask = has_padding_value(film, (-1e300, -1e5))
    assert mask is not None
    assert mask.tolist() == [[True, False], [False, False]]
    assert has_padding_value(film, (1e300, 1e300)) is None
