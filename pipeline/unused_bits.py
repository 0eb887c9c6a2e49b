"""Bits that samples are allocated but do not store: old devices drew overlays there.

PS3.5 8.1.1 (retired): names in an overlay would stay when the overlay's tags are gone.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.dicom_tags import integer, is_signed
from pipeline.padding import padding_mask

_KINDS = {8: np.uint8, 16: np.uint16, 32: np.uint32}


def clear_unused_bits(content: bytes, dataset: Dataset, *, little_endian: bool) -> bytes:
    """Return samples that are not encapsulated with nothing in their unused bits.

    Padding keeps its value, which may lie beyond the stored bits. Signed samples are
    continued by their sign.
    """
    allocated, stored = integer(dataset, "BitsAllocated"), integer(dataset, "BitsStored")
    if allocated not in _KINDS or stored == allocated:
        return content
    order = np.dtype(_KINDS[allocated]).newbyteorder("<" if little_endian else ">")
    count = len(content) // order.itemsize
    samples = np.frombuffer(content, order, count)
    cleared = _cleared(samples, dataset, stored=stored)
    if (cleared == samples).all():
        return content
    padding = padding_mask(_as_seen(samples, dataset)[np.newaxis], dataset)
    if padding is not None:
        cleared = np.where(padding[0], samples, cleared)
    return cleared.astype(order).tobytes() + content[count * order.itemsize :]


def _cleared(samples: NDArray[Any], dataset: Dataset, *, stored: int) -> NDArray[Any]:
    native = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    kind, width = native.dtype.type, 8 * native.itemsize
    shift = integer(dataset, "HighBit", default=stored - 1) + 1 - stored
    if shift or not is_signed(dataset):
        return np.asarray(native & kind(((1 << stored) - 1) << shift))
    spare = width - stored
    signed = (native << kind(spare)).view(f"i{native.itemsize}")
    return np.asarray((signed >> spare).view(native.dtype))


def _as_seen(samples: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    native = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    return native.view(f"i{native.itemsize}") if is_signed(dataset) else native
