"""Bounds on what one file may take."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import RefusalCode, RefusedError, not_frontal_chest, too_large

if TYPE_CHECKING:  # commands that import the limits print their --help without numpy
    from numpy.typing import NDArray

MAX_TABLE_BYTES = 32 * 2**20  # of a label table: some 300,000 rows
DISPLAY_SIDE = 1600  # pixels, of an image for people


@dataclass(frozen=True)
class Limits:
    """Bounds that are checked before pixels are decoded.

    max_bytes: of the file, and of a deflated data set once inflated.
    max_pixels: of one frame. 14 x 17 inches digitised at 50 µm are 61 million; flat panels
        have at most 18 million.
    max_frames: a radiograph has one, fluoroscopy hundreds.
    min_side: smaller images cannot be read.
    max_aspect: longer to shorter side; chest radiographs lie below 2.
    """

    max_bytes: int = 512 * 2**20
    max_pixels: int = 64_000_000
    max_frames: int = 1000
    min_side: int = 32
    max_aspect: float = 8.0

    def check_bytes(self, size: int) -> None:
        if size > self.max_bytes:
            raise too_large(f"too large: expected at most {self.max_bytes} bytes")

    def check_size(self, rows: int, columns: int) -> None:
        """Raise RefusedError unless an image of rows x columns may be decoded."""
        shape = f"{columns} x {rows} pixels"
        if min(rows, columns) < self.min_side:
            raise RefusedError(
                RefusalCode.TOO_SMALL,
                f"the image is too small: expected sides of at least {self.min_side} pixels, "
                f"received {shape}",
            )
        if rows * columns > self.max_pixels:
            raise too_large(
                f"the image is too large: expected at most {self.max_pixels} pixels, "
                f"received {shape}"
            )
        if max(rows, columns) > self.max_aspect * min(rows, columns):
            raise not_frontal_chest(
                f"not a chest radiograph: expected sides within 1 : {self.max_aspect:g}, "
                f"received {shape}"
            )

    def check_frames(self, frames: int) -> None:
        if not 1 <= frames <= self.max_frames:
            raise too_large(f"expected 1 to {self.max_frames} frames, received {frames}")


def check_not_blank(pixels: "NDArray[Any]") -> None:
    """Raise RefusedError for an array of any shape and type without two different values."""
    if pixels.size == 0 or pixels.min() == pixels.max():
        raise not_frontal_chest("not a chest radiograph: every pixel has the same value")
