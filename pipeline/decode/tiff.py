"""Pages of a TIFF (TIFF 6.0, BigTIFF, SubIFDs of the first supplement): which one is the film."""

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from pipeline.errors import damaged, unsupported
from pipeline.limits import Limits

NEW_SUBFILE_TYPE, SUBFILE_TYPE, COLUMNS, ROWS, BITS, COMPRESSION = 254, 255, 256, 257, 258, 259
PHOTOMETRIC, FILL_ORDER, DESCRIPTION, STRIP_OFFSETS, SAMPLES = 262, 266, 270, 273, 277
ROWS_PER_STRIP, STRIP_BYTES, MIN_SAMPLE, MAX_SAMPLE, PLANAR = 278, 279, 280, 281, 284
PREDICTOR, TILE_COLUMNS, TILE_ROWS, TILE_OFFSETS, TILE_BYTES = 317, 322, 323, 324, 325
X_RESOLUTION, Y_RESOLUTION, ORIENTATION = 282, 283, 274
SUB_IFDS, EXTRA_SAMPLES, SAMPLE_FORMAT, S_MIN_SAMPLE, S_MAX_SAMPLE = 330, 338, 339, 340, 341
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2  # of Photometric

_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_REDUCED_SUBFILE: Final = 2  # SubfileType, its predecessor
_SHAPE_TOLERANCE: Final = 0.05  # of sides' ratios: a thumbnail's sides are rounded
_THUMBNAIL_SIDE: Final = 256  # thumbnails may have bars beside the film
_IMAGEJ_RANGE: Final = re.compile(r"^(min|max)=(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)$", re.MULTILINE)
# Compressions that Pillow and its libtiff do not read, by their registered numbers.
_UNREAD: Final = {
    **dict.fromkeys((33003, 33004, 33005, 34712), "JPEG 2000"),
    **dict.fromkeys((50002, 52546), "JPEG XL"),
    **{34661: "JBIG", 34715: "JBIG2", 34887: "LERC", 34892: "lossy JPEG of raw images"},
    **{34933: "PNG", 34934: "JPEG XR", 50001: "WebP"},
}
_MAX_CHILDREN: Final = 16  # of a pyramid; each level has half of the sides


@dataclass(frozen=True)
class Page:
    """One image of the file. offset: of its directory. parent: the page whose SubIFD it is."""

    tags: ImageFileDirectory_v2
    offset: int
    parent: int | None = None

    def numbers(self, tag: int, *default: float) -> tuple[Any, ...]:
        """Return the tag's numbers, `default` where there are none."""
        value = self.tags.get(tag, default)
        values = value if isinstance(value, tuple) else (value,)
        return values if all(isinstance(one, Real) for one in values) else default

    def integer(self, tag: int, default: int) -> int:
        return int(self.numbers(tag, default)[0])

    @property
    def rows(self) -> int:
        return self.integer(ROWS, 0)

    @property
    def columns(self) -> int:
        return self.integer(COLUMNS, 0)

    @property
    def densities(self) -> tuple[float, float]:
        """Pixels to a unit of length, across and down."""
        across, down = self.numbers(X_RESOLUTION, 1)[0], self.numbers(Y_RESOLUTION, 1)[0]
        return float(across), float(down)

    @property
    def is_reduced(self) -> bool:
        """Whether it is stated to be a thumbnail, or a transparency mask."""
        return (
            bool(self.integer(NEW_SUBFILE_TYPE, 0) & (_REDUCED | _MASK))
            or self.integer(SUBFILE_TYPE, 0) == _REDUCED_SUBFILE
        )

    def is_copy_of(self, other: "Page") -> bool:
        """Whether it is `other` at a half of its size or less, as far as sizes and shapes tell."""
        if other.parent == self.offset:
            return self.rows * self.columns < other.rows * other.columns
        shapes = self.rows * other.columns, self.columns * other.rows
        is_alike = max(shapes) <= (1 + _SHAPE_TOLERANCE) * min(shapes)
        is_half = 2 * self.rows <= other.rows and 2 * self.columns <= other.columns
        return is_half and (is_alike or max(self.rows, self.columns) <= _THUMBNAIL_SIDE)

    def stated_range(self) -> tuple[float, float] | None:
        """Return the least and the greatest value that tags or ImageJ's description state."""
        lows = self.numbers(S_MIN_SAMPLE) or self.numbers(MIN_SAMPLE, 0)
        if highs := self.numbers(S_MAX_SAMPLE) or self.numbers(MAX_SAMPLE):
            return float(min(lows)), float(max(highs))
        description = self.tags.get(DESCRIPTION, "")
        if isinstance(description, str) and description.startswith("ImageJ="):
            stated = dict(_IMAGEJ_RANGE.findall(description))
            if len(stated) == 2:
                return float(stated["min"]), float(stated["max"])
        return None


def find_film(content: bytes, limits: Limits) -> tuple[Page, int]:
    """Return the page that holds the film, and how many pages are no smaller copies of others.

    That is the first page, unless it is a smaller copy by its tags or shape; then the largest of
    which it is a copy. Raises RefusedError for damaged directories, unsupported compression, and
    pages beyond the limits.
    """
    pages = list(_pages(content, limits))
    full = [page for page in pages if not page.is_reduced] or pages
    larger = [page for page in full if full[0].is_copy_of(page)]
    film = max(larger, key=lambda page: page.rows * page.columns, default=full[0])
    compression = film.integer(COMPRESSION, 1)
    if name := _UNREAD.get(compression):
        raise unsupported(f"the TIFF data are compressed as {name}, which is not read")
    frames = [page for page in full if page.parent is None and not page.is_copy_of(film)]
    return film, max(len(frames), 1)


def starting_with(content: bytes, page: Page) -> bytes:
    """Return the file with `page` as its first one."""
    header = _header(content)
    if _empty_directory(header).next == page.offset:
        return content
    half = len(header) // 2  # the offset of the first directory is the second half
    order = "<" if content[:2] == b"II" else ">"
    offset = struct.pack(order + ("I" if half == 4 else "Q"), page.offset)
    return b"".join((header[:half], offset, memoryview(content)[len(header) :]))


def _header(content: bytes) -> bytes:
    return content[: 16 if b"+" in content[2:4] else 8]


def _empty_directory(header: bytes) -> ImageFileDirectory_v2:
    """Return one whose `next` is the file's first."""
    # Pillow notices a BigTIFF in little endian only.
    ifh = b"II+\0" + header[4:] if len(header) == 16 else header
    return ImageFileDirectory_v2(ifh, prefix=header[:2])


def _pages(content: bytes, limits: Limits) -> Iterator[Page]:
    """Yield the pages in order, each before its SubIFDs."""
    stream, seen = io.BytesIO(content), set[int]()
    offset = _empty_directory(_header(content)).next
    while offset:
        page = _page(stream, offset)
        limits.check_frames(len(seen) + 1)
        if offset in seen or page is None:
            raise damaged("the TIFF data are damaged or cut short")
        seen.add(offset)
        yield page
        yield from _children(stream, page, seen)
        offset = page.tags.next
    if not seen:
        raise damaged("the TIFF header is damaged")


def _children(stream: io.BytesIO, page: Page, seen: set[int]) -> Iterator[Page]:
    """Yield the pages of SubIFDs; damaged ones are left out, as they are never the only ones."""
    for offset in page.numbers(SUB_IFDS)[:_MAX_CHILDREN]:
        if offset not in seen and (child := _page(stream, offset, parent=page.offset)):
            seen.add(offset)
            yield child


def _page(stream: io.BytesIO, offset: int, *, parent: int | None = None) -> Page | None:
    """Return None for a directory that is cut short or states no size."""
    stream.seek(0)
    tags = _empty_directory(_header(stream.read(16)))
    stream.seek(offset)
    tags.load(stream)
    page = Page(tags, offset, parent)
    return page if page.rows > 0 and page.columns > 0 else None
