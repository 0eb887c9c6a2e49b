"""Fingerprints of images: a hash of the exact pixels, and a perceptual hash.

Both are computed from the network input, so that formats and sizes do not matter.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.types import NETWORK_INPUT_SIDE as SIDE

HASH_BITS: Final = 256
_HASH_SIDE: Final = 16
_DETAIL: Final = slice(12, 48)  # half waves on a side: finer than lungs, coarser than noise
_BATCH: Final = 64  # images at once: 13 MB


@dataclass(frozen=True)
class Fingerprint:
    """input_sha256: of the network input's bytes. perceptual_hash: 256 bits, 64 hex digits."""

    input_sha256: str
    perceptual_hash: str


def fingerprints(inputs: NDArray[np.uint8]) -> list[Fingerprint]:
    """Return the fingerprints of network inputs, uint8 (n, 224, 224).

    The perceptual hash is pHash (Zauner 2010, "Implementation and Benchmarking of Perceptual Image
    Hash Functions", section 3.2.1) with 256 bits: signs of the 16 x 16 lowest frequencies of the
    discrete cosine transform, without row and column 0, in which all chest radiographs are alike.
    They survive scaling, compression and changes of brightness.
    """
    made = []
    for start in range(0, len(inputs), _BATCH):
        batch = inputs[start : start + _BATCH]
        frequencies = _transform(batch, slice(1, 1 + _HASH_SIDE)).reshape(len(batch), HASH_BITS)
        hashes = np.packbits(frequencies > 0, axis=1)
        made += [
            Fingerprint(hashlib.sha256(image.tobytes()).hexdigest(), bits.tobytes().hex())
            for image, bits in zip(batch, hashes, strict=True)
        ]
    return made


def hash_signs(hashes: Sequence[str]) -> NDArray[np.float32]:
    """Return perceptual hashes as float32 (n, 256) of -1 and 1.

    The Hamming distance of two is (256 - their product) / 2.
    """
    packed = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8)
    bits = np.unpackbits(packed).reshape(len(hashes), HASH_BITS)
    return bits.astype(np.float32) * 2 - 1


def detail_correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the correlation of middle frequencies, pair by pair, float32 (n,) in [-1, 1].

    first, second: uint8 (n, 224, 224). Between any two chests low frequencies correlate by 0.9;
    ribs and vessels do not. An image without detail gives 0.
    """
    found = np.zeros(len(first), np.float32)
    for start in range(0, len(first), _BATCH):
        batch = slice(start, start + _BATCH)
        one, other = (_detail(inputs[batch]) for inputs in (first, second))
        norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        found[batch] = (one * other).sum(axis=1) / np.maximum(norms, 1.0)
    return found


def _detail(inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    frequencies = _transform(inputs, slice(0, _DETAIL.stop))
    frequencies[:, : _DETAIL.start, : _DETAIL.start] = 0
    return frequencies.reshape(len(inputs), -1)


def _transform(inputs: NDArray[np.uint8], kept: slice) -> NDArray[np.float32]:
    """Return the DCT-II at the frequencies `kept` in both directions, float32 (n, k, k)."""
    angles = np.pi * (np.arange(SIDE) + 0.5) * np.arange(SIDE)[kept, None] / SIDE
    waves: NDArray[np.float32] = np.cos(angles).astype(np.float32)  # (k, 224)
    waves *= np.float32(np.sqrt(2 / SIDE))
    # One large product: many small ones in several threads take 50 times as long on busy cores.
    rows = inputs.reshape(-1, SIDE).astype(np.float32) @ waves.T
    columns = rows.reshape(len(inputs), SIDE, -1).transpose(0, 2, 1)
    both = np.ascontiguousarray(columns).reshape(-1, SIDE) @ waves.T
    return both.reshape(len(inputs), len(waves), len(waves))
