"""Distribution shifts of validation images, as between hospitals.

Each shift takes and returns network inputs, uint8 (n, 224, 224). None of them is used in training
or for a threshold.
"""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Inputs = NDArray[np.uint8]
SIDE = 224
SWAPPED = "swapped style"


def _each(change: Callable[[Image.Image], Image.Image]) -> Callable[[Inputs], Inputs]:
    return lambda inputs: np.stack([np.asarray(change(Image.fromarray(one))) for one in inputs])


def _levels(change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Callable[..., Inputs]:
    table = change(np.linspace(0, 1, 256, dtype=np.float32))
    levels = np.rint(np.clip(table, 0, 1) * 255).astype(np.uint8)
    return lambda inputs: levels[inputs]


def _crop(image: Image.Image) -> Image.Image:
    edge = SIDE * 0.06
    box = (edge, edge, SIDE - edge, SIDE - edge)
    return image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)


def _border(image: Image.Image) -> Image.Image:
    small = image.resize((202, 202), Image.Resampling.BOX)
    framed = Image.new("L", (SIDE, SIDE))
    framed.paste(small, (11, 11))
    return framed


def _blur(image: Image.Image) -> Image.Image:
    small = image.resize((112, 112), Image.Resampling.BOX)
    return small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _compress(image: Image.Image) -> Image.Image:
    stream = BytesIO()
    image.save(stream, "JPEG", quality=25)
    return Image.open(stream)


SHIFTS: dict[str, Callable[[Inputs], Inputs]] = {
    "as it is": lambda inputs: inputs,
    "less contrast": _levels(lambda x: 0.7 * x + 0.17),
    "more contrast": _levels(lambda x: 1.3 * (x - 0.5) + 0.5),
    "darker": _levels(lambda x: x**1.6),
    "brighter": _levels(lambda x: x**0.6),
    "cropped": _each(_crop),
    "black border": _each(_border),
    "blurred": _each(_blur),
    "sharpened": _each(lambda image: image.filter(ImageFilter.UnsharpMask(1.5, 150, 0))),
    "compressed": _each(_compress),
    "rotated 8 degrees": _each(lambda image: image.rotate(8, Image.Resampling.BILINEAR)),
}


def swap_style(inputs: Inputs, labels: NDArray[np.uint8], *, seed: int = 0) -> Inputs:
    """Give each image the grey levels' mean and deviation, and the sharpness, of another class.

    Sharpness is the spectrum's fall with frequency, averaged over directions. In the public
    training set the normal images are sharper and of more contrast than the others: a network
    may learn the scanner in place of the lungs, and this shift shows whether it did.
    """
    random = np.random.default_rng(seed)
    styles = np.empty(len(labels), np.intp)
    for label in (0, 1):
        own, other = np.flatnonzero(labels == label), np.flatnonzero(labels != label)
        styles[own] = random.choice(other, len(own))
    pairs = zip(inputs, inputs[styles], strict=True)
    return np.stack([_restyle(image, style) for image, style in pairs])


def _rings() -> NDArray[np.intp]:
    rows, columns = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
    return np.minimum(np.hypot(rows, columns) * 64, 32).astype(np.intp)


RINGS = _rings()


def _profile(spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Mean amplitude in each ring of frequencies, (33,)."""
    amplitude = np.bincount(RINGS.ravel(), np.abs(spectrum).ravel(), minlength=33)
    return amplitude / np.bincount(RINGS.ravel(), minlength=33) + 1e-6


def _restyle(image: NDArray[np.uint8], style: NDArray[np.uint8]) -> NDArray[np.uint8]:
    spectrum = np.fft.rfft2(image - image.mean())
    ratio = _profile(np.fft.rfft2(style - style.mean())) / _profile(spectrum)
    changed = np.fft.irfft2(spectrum * np.clip(ratio, 0.3, 3)[RINGS], s=(SIDE, SIDE))
    changed = changed / (changed.std() + 1e-6) * style.std() + style.mean()
    return np.rint(np.clip(changed, 0, 255)).astype(np.uint8)
