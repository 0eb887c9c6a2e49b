"""Pictures that show nothing."""

from typing import Any

from numpy.typing import NDArray

from pipeline.errors import RefusedError


def check_not_blank(pixels: NDArray[Any]) -> None:
    """Raise RefusedError for an array of any shape and type without two different values."""
    if pixels.size == 0 or pixels.min() == pixels.max():
        raise RefusedError("not a chest radiograph: every pixel has the same value")
