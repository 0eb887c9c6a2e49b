"""What the tags of a DICOM image say of its pixels and grey levels, read once.

An attribute that is missing or odd gets its usual meaning and a warning that names it, as viewers
do: one attribute costs no image. Reading and de-identification use the same description, so that
they cannot disagree.
"""

import math
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import UID

from pipeline.dicom.attributes import label
from pipeline.dicom.lut import LookUpTable, read_palette, read_table, word_order
from pipeline.dicom.tags import Tags
from pipeline.dicom.windows import Window, read_windows
from pipeline.errors import damaged, not_an_image, unsupported

PIXELS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")  # PS3.3 C.7.6.3, C.7.6.24
_FLOAT_BITS: Final = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
ONE_SAMPLE: Final = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
COLOUR: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
# Terms of C.7.6.3.1.2, retired ones too, that no radiograph has.
_UNSUPPORTED: Final = ("HSV", "ARGB", "CMYK", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "XYB")
_ALLOCATED: Final = (1, 8, 16, 32)
_ASPECTS: Final = (0.2, 5.0)  # beyond, a ratio is a mistake
_ROUNDED: Final = 0.01  # a ratio this close to 1 is one of rounded sizes

Range = tuple[float, float]


@dataclass(frozen=True)
class Description:
    """What the tags say of pixels (PS3.3 C.7.6.3) and grey levels (C.11.1, C.11.2).

    keyword: of the element that holds the pixels. syntax: the transfer syntax. rows, columns,
    frames, samples: counts. photometric: a defined term of C.7.6.3.1.2. planar: 1 if colours are
    stored by plane.
    allocated, stored, high: Bits Allocated, Bits Stored and High Bit; of floats, their size.
    slope, intercept: of the rescaling. windows: all that are stated; function: how they apply,
    LINEAR, LINEAR_EXACT or SIGMOID. modality_table, voi_table: the first of each sequence.
    palette: of PALETTE COLOR. padding: least and greatest stored value of padding (C.7.5.1.1.2).
    is_inverse: whether the least value is white. pixel_aspect: height of a pixel over its width
    (C.7.6.3.1.7). warnings: a sentence for each attribute that was not read as stated. overlays:
    bits of a sample that hold one (C.9.2 of 2004). extra_bits: how many above the high bit hold
    values too (see `stored_values`).
    """

    keyword: str
    syntax: UID
    rows: int
    columns: int
    frames: int
    samples: int
    photometric: str
    planar: int
    allocated: int
    stored: int
    high: int
    is_signed: bool
    slope: float
    intercept: float
    windows: tuple[Window, ...]
    function: str
    modality_table: LookUpTable | None
    voi_table: LookUpTable | None
    palette: LookUpTable | None
    padding: Range | None
    is_inverse: bool
    pixel_aspect: float
    warnings: tuple[str, ...]
    overlays: tuple[int, ...] = ()
    extra_bits: int = 0

    @property
    def stored_range(self) -> Range:
        """The least and the greatest integer that the stored bits hold."""
        return _stored_range(self.stored, is_signed=self.is_signed)


def describe(dataset: Dataset) -> Description:
    """Raises RefusedError where pixels, their number or their bits are not stated."""
    keyword = next((keyword for keyword in PIXELS if keyword in dataset), None)
    if keyword is None:
        raise not_an_image(
            "expected an image, received a DICOM file without Pixel Data (7FE0,0010)"
        )
    tags = Tags(dataset)
    rows, columns = tags.required("Rows"), tags.required("Columns")
    frames = tags.integer("NumberOfFrames", usual=1, least=1)
    photometric, samples = _photometric(tags)
    planar = tags.integer("PlanarConfiguration", usual=0, greatest=1) if samples > 1 else 0
    count = rows * columns * frames * samples
    allocated, stored, high = _bits(tags, keyword, count)
    is_signed = tags.integer("PixelRepresentation", usual=0, greatest=1) == 1
    is_integer = keyword == "PixelData"
    values = _stored_range(stored, is_signed=is_signed) if is_integer else (0.0, 1.0)
    slope, intercept = _rescaling(tags, values)
    modality_table, voi_table = _tables(tags, values, slope, intercept)
    windows, function = read_windows(tags)
    return Description(
        keyword=keyword,
        syntax=dataset.file_meta.TransferSyntaxUID,
        rows=rows,
        columns=columns,
        frames=frames,
        samples=samples,
        photometric=photometric,
        planar=planar,
        allocated=allocated,
        stored=stored,
        high=high,
        is_signed=is_signed,
        slope=slope,
        intercept=intercept,
        windows=windows,
        function=function,
        modality_table=modality_table,
        voi_table=voi_table,
        palette=(
            read_palette(dataset, is_signed=is_signed) if photometric == "PALETTE COLOR" else None
        ),
        padding=_padding(tags, keyword, is_signed=is_signed, allocated=allocated),
        is_inverse=_is_inverse(tags, photometric),
        pixel_aspect=_pixel_aspect(tags),
        warnings=tuple(tags.warnings),
        overlays=_overlays(dataset, high),
    )


def _stored_range(bits: int, *, is_signed: bool) -> Range:
    half = 2 ** (bits - 1)
    return (-half, half - 1) if is_signed else (0, 2 * half - 1)


def _photometric(tags: Tags) -> tuple[str, int]:
    """Return Photometric Interpretation, a defined term, and Samples per Pixel."""
    stated = tags.code("PhotometricInterpretation")
    if stated in _UNSUPPORTED:
        raise unsupported(
            f"{label('PhotometricInterpretation')} is {stated}, "
            "expected MONOCHROME1, MONOCHROME2, RGB, YBR or PALETTE COLOR"
        )
    usual = 3 if stated in COLOUR else 1
    samples = tags.integer("SamplesPerPixel", usual=usual, least=1, is_required=True)
    if stated in (*ONE_SAMPLE, *COLOUR):
        return str(stated), samples
    assumed = "MONOCHROME2" if samples == 1 else "RGB"
    fault = "is missing" if stated == "" else "is not usable"
    tags.warn("PhotometricInterpretation", f"{assumed} is assumed", fault=fault)
    return assumed, samples


def _bits(tags: Tags, keyword: str, count: int) -> tuple[int, int, int]:
    """Return Bits Allocated, Bits Stored and High Bit of `count` samples."""
    if bits := _FLOAT_BITS.get(keyword):
        return bits, bits, bits - 1
    allocated = _allocated(tags, count)
    stored = tags.integer(
        "BitsStored", usual=allocated, least=1, greatest=allocated, is_required=True
    )
    usual = stored - 1
    high = tags.integer(
        "HighBit", usual=usual, least=usual, greatest=allocated - 1, is_required=True
    )
    return allocated, stored, high


def _allocated(tags: Tags, count: int) -> int:
    """Return Bits Allocated, by the length of the pixels where it is not stated."""
    stated = tags.number("BitsAllocated")
    if stated in _ALLOCATED:
        return int(stated)
    usual = 0
    if not tags.dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        length = len(tags.dataset.PixelData or b"")
        usual = next((8 * n for n in (4, 2, 1) if n * count <= length <= n * count + 1), 0)
    elif stored := tags.integer("BitsStored", usual=0, greatest=16):
        usual = 8 if stored <= 8 else 16
    if not usual:
        fault = "missing" if stated is None else "not 1, 8, 16 or 32"
        raise damaged(f"{label('BitsAllocated')} is {fault}")
    fault = "is missing" if stated is None else "is not usable"
    tags.warn("BitsAllocated", f"{usual} is assumed", fault=fault)
    return usual


def _overlays(dataset: Dataset, high: int) -> tuple[int, ...]:
    """Return the bits of the overlays that have no data of their own; unstated: above the value."""
    found = []
    for group in range(0x6000, 0x6020, 2):
        if (group, 0x0010) in dataset and (group, 0x3000) not in dataset:
            try:
                found.append(int(dataset[group, 0x0102].value))
            except Exception:  # pydicom parses on access
                found.append(high + 1)
    return tuple(found)


def _rescaling(tags: Tags, stored: Range) -> tuple[float, float]:
    """Return slope and intercept (C.11.1.1.2), those of an identity where they are no use."""
    slope = tags.usable("RescaleSlope", "1 is assumed")
    intercept = tags.usable("RescaleIntercept", "0 is assumed") or 0.0
    slope = 1.0 if slope is None else slope
    low, high = (value * slope + intercept for value in stored)
    if math.isfinite(low) and math.isfinite(high) and low != high:
        return slope, intercept
    tags.warn("RescaleSlope", "1 is assumed")
    low, high = (value + intercept for value in stored)
    if low != high:
        return 1.0, intercept
    tags.warn("RescaleIntercept", "0 is assumed")
    return 1.0, 0.0


def _tables(
    tags: Tags, values: Range, slope: float, intercept: float
) -> tuple[LookUpTable | None, LookUpTable | None]:
    """Return Modality and VOI LUT. values: the least and the greatest that can be stored."""
    order = word_order(tags.dataset)
    modality, faults = read_table(tags.dataset, "ModalityLUTSequence", covers=values, order=order)
    if modality:
        values = float(modality.entries.min()), float(modality.entries.max())
    else:
        low, high = sorted(value * slope + intercept for value in values)
        values = low, high
    holder = tags.holder("VOILUTSequence")
    voi, more_faults = read_table(holder, "VOILUTSequence", covers=values, order=order)
    tags.warnings += [*faults, *more_faults]
    return modality, voi


def _is_inverse(tags: Tags, photometric: str) -> bool:
    """MONOCHROME1 (C.7.6.3.1.2) and a Presentation LUT Shape INVERSE (C.11.6) invert once.

    Viewers agree for MONOCHROME2. Of MONOCHROME1 with IDENTITY, which C.8.11.3 forbids, dcmtk
    shows a negative and most others, who do not read the shape, do not; nor do we.
    """
    if photometric == "MONOCHROME2":
        return tags.term("PresentationLUTShape", usual="IDENTITY") == "INVERSE"
    return photometric == "MONOCHROME1"


def _padding(tags: Tags, keyword: str, *, is_signed: bool, allocated: int) -> Range | None:
    """Return the range of stored values that are padding (C.7.5.1.1.2)."""
    kind = keyword.removesuffix("Data")  # floats have attributes of their own
    value = tags.usable(f"{kind}PaddingValue", "no padding is assumed")
    limit = tags.usable(f"{kind}PaddingRangeLimit", "none is assumed")
    if value is None:
        return None
    ends = value, value if limit is None else limit
    if keyword != "PixelData":
        return min(ends), max(ends)
    low, high = sorted(_as_stored(end, is_signed=is_signed, allocated=allocated) for end in ends)
    return low, high


def _as_stored(value: float, *, is_signed: bool, allocated: int) -> float:
    """Writers disagree whether the attributes are signed; the pixels decide."""
    half = 2.0 ** (allocated - 1)
    if is_signed and value >= half:
        return value - 2 * half
    if not is_signed and value < 0:
        return value + 2 * half
    return value


def _pixel_aspect(tags: Tags) -> float:
    """Each attribute states the vertical size first (C.7.6.3.1.7, 10.7.1.3, C.8.6.2)."""
    spacings = "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"
    for keyword in ("PixelAspectRatio", *spacings):
        sizes = tags.numbers(keyword)
        if not sizes:
            continue
        if len(sizes) == 2 and min(sizes) > 0:
            aspect = sizes[0] / sizes[1]
            if _ASPECTS[0] <= aspect <= _ASPECTS[1]:
                return aspect if abs(aspect - 1) > _ROUNDED else 1.0
        tags.warn(keyword, "square pixels are assumed")
    return 1.0
