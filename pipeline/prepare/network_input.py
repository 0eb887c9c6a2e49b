"""The network input; training and serving use this one function."""

from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from simplejpeg import decode_jpeg

from pipeline.types import NETWORK_INPUT_SIDE as SIDE
from pipeline.types import DecodedImage

# A JPEG is decoded at reduced scale down to this side. Twice the network's size keeps the
# coarse block filter of the reduced decoding well below what the resize removes anyway.
DECODED_SIZE: Final = 2 * SIDE
# The training images are JPEGs of this size and quality, and the network has learned with their
# compression artefacts. For images without them the logit is lower by 1.0 on average (84 of the
# training images at full resolution), with them by 0.0. Compressing twice differs by 0.007 levels.
JPEG_QUALITY: Final = 75


def network_input(image: DecodedImage) -> NDArray[np.uint8]:
    """Return uint8 (224, 224), 0 = black.

    The image is resized to a square without keeping its aspect ratio, as usual for the training
    images: cropping would lose the edges of the lungs, and the network has not learned padding.
    The triangle filter spans all source pixels (antialiased); then JPEG, as in training.
    """
    small = _resized(image)
    levels: NDArray[np.uint8] = np.rint(np.clip(np.asarray(small), 0, 1) * 255).astype(np.uint8)
    jpeg = BytesIO()
    Image.fromarray(levels).save(jpeg, "JPEG", quality=JPEG_QUALITY)
    # As Pillow decodes, in half of the time.
    decoded: NDArray[np.uint8] = decode_jpeg(jpeg.getvalue(), colorspace="GRAY")
    return decoded[..., 0]


def _resized(image: DecodedImage) -> Image.Image:
    pixels, size, filter_ = image.pixels, (SIDE, SIDE), Image.Resampling.BILINEAR
    if image.sampling == 1:
        return Image.fromarray(pixels).resize(size, filter_, reducing_gap=2.0)
    # The first pixel is the film's first, not the mean of those around: what is resized starts as
    # far inside its corner as a mean would lie, and ends beyond the last pixel.
    begin = (1 - 1 / image.sampling) / 2
    end = image.columns / image.sampling + begin, image.rows / image.sampling + begin
    padded = np.pad(pixels, ((0, 1), (0, 1)), mode="edge")
    return Image.fromarray(padded).resize(size, filter_, box=(begin, begin, *end))
