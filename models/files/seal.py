"""Network inputs as they lie on disk: the pixels, and behind them their seal.

The seal is the SHA-256 of upload, preprocessing and pixels, so that an input under the name of
another image is noticed as a flipped bit is. It is no signature: who can write here can seal.
"""

import hashlib
from typing import TYPE_CHECKING

from pipeline.errors import DamagedFileError
from pipeline.types import NETWORK_INPUT_SIDE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PIXELS = NETWORK_INPUT_SIDE**2  # bytes; older releases stored nothing else
SEAL = hashlib.sha256().digest_size


def seal(pixels: bytes, *, sha256: str, preprocessing: str) -> bytes:
    """sha256: of the upload. Returns what is to be stored."""
    return pixels + _digest(pixels, sha256, preprocessing)


def open_sealed(content: bytes, *, sha256: str, preprocessing: str) -> "NDArray[np.uint8]":
    """uint8 (224, 224). Raises DamagedFileError."""
    import numpy as np  # idle workers do without it

    pixels = content[:PIXELS]
    if len(content) != PIXELS + SEAL or content[PIXELS:] != _digest(pixels, sha256, preprocessing):
        raise DamagedFileError(f"the network input {sha256[:12]} is damaged")
    return np.frombuffer(pixels, np.uint8).reshape(NETWORK_INPUT_SIDE, NETWORK_INPUT_SIDE)


def _digest(pixels: bytes, sha256: str, preprocessing: str) -> bytes:
    return hashlib.sha256(f"{preprocessing}\n{sha256}\n".encode() + pixels).digest()
