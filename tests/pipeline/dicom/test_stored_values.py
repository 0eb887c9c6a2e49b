"""Bits above those stored: values that overflow are kept, overlays are not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.dicom.description import Description, describe
from pipeline.dicom.stored_values import (
    SampleBits,
    clear_other_bits,
    take_values,
    value_bits,
    with_value_bits,
)
from tests.support.data.builders import make_dataset, make_picture

TEN = SampleBits(allocated=16, stored=10, high=9, is_signed=False)
FILM = make_picture(200, 300, top=1023)
TEXT = np.zeros(FILM.shape, np.bool_)
TEXT[20:60:3, 30:150] = TEXT[20:60, 30:150:7] = True


def scaled(factor: float) -> NDArray[Any]:
    noise = np.random.default_rng(1).normal(0, 4, FILM.shape)
    return np.clip(FILM * factor + noise, 0, 2**16 - 1).astype(np.uint16)


@pytest.mark.parametrize(("factor", "bits"), [(0.9, 10), (1.05, 11), (1.3, 11), (3, 12), (16, 14)])
def test_values_that_overflow_are_kept(factor: float, bits: int) -> None:
    film = scaled(factor)
    found = value_bits(film, TEN)
    assert found.stored == bits
    np.testing.assert_array_equal(take_values(film, found), film)
    np.testing.assert_array_equal(clear_other_bits(film, found), film)


def described(film: NDArray[Any], **attributes: Any) -> Description:
    dataset = make_dataset(film, bits_stored=10, **attributes)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return with_value_bits(film, describe(dataset))


@pytest.mark.parametrize(
    ("factor", "stored", "extra", "warning"),
    [
        (0.9, 10, 0, ""),
        (1.05, 10, 1, "some values are greater and were kept"),
        (1.3, 10, 1, "some values are greater and were kept"),
        (3, 12, 0, "values are greater, 12 is assumed"),
        (16, 14, 0, "values are greater, 14 is assumed"),
    ],
)
def test_bits_stored_are_corrected_where_values_are_far_greater(
    factor: float, stored: int, extra: int, warning: str
) -> None:
    """A little overflow is saturated white, for which the stated range stays."""
    found = described(scaled(factor))
    assert (found.stored, found.high, found.extra_bits) == (stored, stored - 1, extra)
    assert found.warnings == ((f"Bits Stored (0028,0101): {warning}",) if warning else ())


def test_bits_stored_are_corrected_where_a_window_states_the_range() -> None:
    found = described(scaled(1.05), WindowCenter=512, WindowWidth=1024)
    assert (found.stored, found.high, found.extra_bits) == (11, 10, 0)


def test_high_bit_above_values_in_the_lowest_bits_is_not_believed() -> None:
    expected = ("High Bit (0028,0102): 9 is assumed",)
    for film in (FILM, (FILM.astype(np.int16) - 512)):
        found = described(film, HighBit=15)
        assert (found.high, found.stored, found.warnings) == (9, 10, expected)
    assert described(FILM << np.uint16(6), HighBit=15).high == 15
    assert described(FILM // 64 << np.uint16(6), HighBit=15).high == 15


def test_one_more_than_the_greatest_value_takes_no_further_bit() -> None:
    """Rounding makes such values of white."""
    found = described(np.minimum(scaled(2.2), 2048))
    assert (found.stored, found.extra_bits) == (11, 1)


def test_one_bright_pixel_does_not_correct_them() -> None:
    film = scaled(1.05)
    film[50, 50] = 2047
    assert described(film).stored == 10


def test_overlay_is_noted() -> None:
    expected = ("Bits Stored (0028,0101): other bits are set, which are no values",)
    assert described(FILM | TEXT.astype(np.uint16) << 12).warnings == expected
    film = np.pad(FILM, 9, constant_values=60000)
    assert described(film, PixelPaddingValue=60000).warnings == ()
    assert described((FILM.astype(np.int16) - 512) & 0x3FF).warnings == ()


@pytest.mark.parametrize(("position", "extra"), [(10, 0), (12, 1), (None, 0), ("text", 0)], ids=str)
def test_bits_of_a_stated_overlay_hold_no_values(position: Any, extra: int) -> None:
    dataset = make_dataset(scaled(1.3), bits_stored=10)
    dataset.add_new((0x6002, 0x0010), "US", 100)
    if position is not None:
        dataset.add_new((0x6002, 0x0102), "LO" if position == "text" else "US", position)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    assert with_value_bits(scaled(1.3), describe(dataset)).extra_bits == extra


def test_values_that_reach_one_more_than_the_greatest_are_kept() -> None:
    film = np.minimum(scaled(1.2), 1024)
    np.testing.assert_array_equal(take_values(film, value_bits(film, TEN)), film)


@pytest.mark.parametrize("bit", range(10, 16))
def test_overlays_are_not_values(bit: int) -> None:
    film = FILM | TEXT.astype(np.uint16) << bit
    assert value_bits(film, TEN) == TEN
    np.testing.assert_array_equal(clear_other_bits(film, TEN), FILM)


def test_overlay_above_values_that_overflow_is_not_kept() -> None:
    film = scaled(1.2)
    found = value_bits(film | TEXT.astype(np.uint16) << 15, TEN)
    assert found.stored == 11
    np.testing.assert_array_equal(
        clear_other_bits(film | TEXT.astype(np.uint16) << 15, found), film
    )


def test_bits_that_tags_state_as_an_overlay_are_never_values() -> None:
    assert value_bits(scaled(1.3), TEN, overlays=[10]) == TEN
    assert value_bits(scaled(1.3), TEN, overlays=[12]).stored == 11


@pytest.mark.parametrize("bits", [12, 16])
def test_noise_is_no_value(bits: int) -> None:
    noise = np.random.default_rng(0).integers(0, 2**bits, FILM.shape, np.uint16)
    assert value_bits(noise, TEN) == TEN


def test_overlay_in_place_of_values_is_no_value() -> None:
    film = np.where(TEXT, 1024, FILM // 2 + 100).astype(np.uint16)
    assert value_bits(film, TEN) == TEN


def test_values_of_far_more_bits_are_kept_at_steep_edges() -> None:
    """Neighbours differ by more than the stated range in places."""
    film = np.ascontiguousarray(FILM[::5, ::5]).astype(np.uint16) * np.uint16(64)
    assert value_bits(film, TEN).stored == 16


def test_bits_set_everywhere_are_not_values() -> None:
    assert value_bits(FILM | np.uint16(0x4000), TEN) == TEN


def test_one_bright_pixel_changes_nothing() -> None:
    film = FILM.copy()
    film[50, 50] = 40000
    assert value_bits(film, TEN) == TEN


def test_padding_does_not_count() -> None:
    film = np.pad(scaled(1.3), 50, constant_values=63536)
    assert value_bits(film, TEN, padding=film == 63536).stored == 11


def test_signed_values_overflow_and_lack_their_sign_extension() -> None:
    signed = SampleBits(allocated=16, stored=10, high=9, is_signed=True)
    film = scaled(1.2).astype(np.int16) - 512
    found = value_bits(film, signed)
    assert found.stored == 11
    np.testing.assert_array_equal(take_values(film, found), film)
    film = scaled(16).astype(np.int16) - 8192
    assert value_bits(film, signed).stored == 14
    plain = FILM.astype(np.int16) - 512
    unextended = plain & 0x3FF
    assert value_bits(unextended, signed) == signed
    np.testing.assert_array_equal(take_values(unextended, signed), plain)


@given(st.data())
def test_values_are_taken_as_the_standard_says(data: st.DataObject) -> None:
    """Against PS3.5 8.1.1, one bit after the other."""
    allocated = data.draw(st.sampled_from([8, 16, 32]))
    stored = data.draw(st.integers(1, allocated))
    high = data.draw(st.integers(stored - 1, allocated - 1))
    bits = SampleBits(allocated, stored, high, data.draw(st.booleans()))
    sample = data.draw(st.integers(0, 2**allocated - 1))
    value = sum(1 << n for n in range(stored) if sample >> (high + 1 - stored + n) & 1)
    if bits.is_signed and value >= 1 << (stored - 1):
        value -= 1 << stored
    samples = np.array([sample], f"u{allocated // 8}")
    assert take_values(samples, bits)[0] == value
    assert take_values(clear_other_bits(samples, bits), bits)[0] == value
    assert bits.range[0] <= value <= bits.range[1]
