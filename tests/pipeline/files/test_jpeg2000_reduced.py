"""Lower resolutions of JPEG 2000: the samples at the places of every 2nd, 4th or 8th pixel."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from pipeline.decode.decode import decode_content
from pipeline.files.jpeg2000 import read_code_stream
from pipeline.files.jpeg2000_reduced import most_halvings, read_reduced
from pipeline.limits import Limits
from pipeline.prepare.network_input import DECODED_SIZE, network_input
from pipeline.prepare.prepare import prepare_content
from tests.support.data.builders import make_picture
from tests.support.imaging.streams import written

LARGE = make_picture(1801, 2003, top=4095)


def reduced(stream: bytes, halvings: int) -> NDArray[Any]:
    return read_reduced(stream, read_code_stream(stream), halvings)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize("unused", [0, 1, 4])
def test_samples_are_those_that_were_coded(dtype: str, unused: int) -> None:
    bits = 8 * np.dtype(dtype).itemsize - unused
    samples = make_picture(90, 70, top=2**bits - 1).astype(np.int64)
    samples = (samples - (2 ** (bits - 1) if dtype[0] == "i" else 0)).astype(dtype)
    found = reduced(encode_array(samples, bits_stored=bits), 0)
    np.testing.assert_array_equal(found, samples, strict=True)


@pytest.mark.parametrize("halvings", [1, 2, 3])
@pytest.mark.parametrize("shape", [(501, 667), (500, 666), (503, 665)])
def test_lower_resolution_has_every_nth_pixel(shape: tuple[int, int], halvings: int) -> None:
    picture = make_picture(*shape, top=4095)
    found = reduced(encode_array(picture, bits_stored=12), halvings)
    expected = picture[:: 2**halvings, :: 2**halvings]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.astype(int), expected, atol=12)


def test_sides_are_halved_down_to_the_smallest_size_and_resolution() -> None:
    size = read_code_stream(encode_array(LARGE, bits_stored=12))
    assert [most_halvings(size, least) for least in (1801, 900, 448, 1)] == [0, 1, 2, size.levels]


def film(*, frames: int = 1, precision: int = 12, **attributes: Any) -> bytes:
    """Return a DICOM file of 12 bits stored, with as many equal frames."""
    streams = [encode_array(LARGE, bits_stored=precision)] * frames
    attributes = {"pixels": LARGE, "bits_stored": 12, **attributes}
    if frames > 1:
        attributes["NumberOfFrames"] = frames
    return written(encapsulate(streams), JPEG2000Lossless, **attributes)


def test_network_input_differs_little_from_that_of_the_whole_image() -> None:
    content = film()
    image, whole = decode_content(content, minimum_size=DECODED_SIZE), decode_content(content)
    assert image.levels.shape == (451, 501)
    assert (image.rows, image.columns) == LARGE.shape == whole.levels.shape
    difference = network_input(image).astype(int) - network_input(whole)
    assert abs(difference).mean() < 0.1
    assert abs(difference).max() <= 3
    prepared = prepare_content(content, pseudonyms=None, limits=Limits())
    np.testing.assert_array_equal(prepared.network_input, network_input(image))


@pytest.mark.parametrize("others", [{"frames": 2}, {"precision": 16}, {"PixelPaddingValue": 4095}])
def test_whole_image_is_decoded_where_pixels_may_be_more_than_values(
    others: dict[str, Any],
) -> None:
    """Of further frames or other bits de-identification needs all samples."""
    assert decode_content(film(**others), minimum_size=DECODED_SIZE).sampling == 1
