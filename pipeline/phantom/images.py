"""The project's own drawings, as a guard meets them: readable, although no film's texture."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.decode.network_input import SIZE, network_input
from pipeline.phantom.drawing import draw_phantom
from pipeline.types import DecodedImage, Finding

FIRST_SEED = 10_000  # far from those that demos and tests draw


def drawn_films(
    count: int, *, size: int, told: Callable[[int], None] = lambda done: None
) -> NDArray[np.uint8]:
    """uint8 (count, size, size): half as files of them reach the network, half direct.

    told: hears how many are drawn.
    """
    findings: tuple[Finding, ...] = ("normal", "pneumonia")
    films = []
    for n in range(count):
        is_file = n < count // 2 and size == SIZE  # toys want another size
        sides = (1024, 1024) if is_file else (size, size)
        film = draw_phantom(seed=FIRST_SEED + n, finding=findings[n % 2], size=sides)
        films.append(_as_input(film) if is_file else film)
        told(n + 1)
    return np.stack(films)


def _as_input(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels = (film / 255).astype(np.float32)
    rows, columns = film.shape
    return network_input(DecodedImage(pixels, "image/png", rows=rows, columns=columns))
