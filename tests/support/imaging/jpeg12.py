"""JPEG of 12 bits (ITU-T T.81, extended sequential DCT), which no installed library writes."""

import struct

import numpy as np
from numpy.typing import NDArray

_LEVEL_SHIFT = 2048
# Runs of zeros and sizes of values (F.1.2.2.1), all with codes of eight bits; the first sixteen are
# also the sizes of the first coefficients.
_SYMBOLS = sorted({0x0F, *(run << 4 | size for run in range(16) for size in range(15))})
_CODE_OF = {symbol: f"{code:08b}" for code, symbol in enumerate(_SYMBOLS)}
_SAMPLES = np.arange(8)
# T.81 A.3.3, as a matrix: rows are frequencies.
_DCT = np.cos((2 * _SAMPLES + 1) * _SAMPLES[:, np.newaxis] * np.pi / 16) / 2
_DCT[0] /= np.sqrt(2)
_ZIGZAG = sorted(
    ((row, column) for row in range(8) for column in range(8)),
    key=lambda at: (sum(at), at[1] if sum(at) % 2 == 0 else at[0]),
)


def encode_jpeg12(pixels: NDArray[np.uint16]) -> bytes:
    """Encode (H, W) of 0 to 4095, sides of whole blocks, with all quantisers 1.

    So each sample is at most a few levels off: only the coefficients are rounded.
    """
    rows, columns = pixels.shape
    blocks = pixels.reshape(rows // 8, 8, columns // 8, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    coefficients = np.rint(_DCT @ (blocks.astype(float) - _LEVEL_SHIFT) @ _DCT.T).astype(int)
    bits, previous = [], 0
    for block in coefficients:
        values = [int(block[at]) for at in _ZIGZAG]
        bits.append(_coded(0, values[0] - previous))
        previous = values[0]
        bits.append(_ac(values[1:]))
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    return b"".join(
        [
            b"\xff\xd8",
            _segment(0xDB, b"\0" + b"\1" * 64),
            _segment(0xC1, struct.pack(">BHHB", 12, rows, columns, 1) + b"\1\x11\0"),
            _segment(0xC4, b"\0" + _table(_SYMBOLS[:16])),
            _segment(0xC4, b"\x10" + _table(_SYMBOLS)),
            _segment(0xDA, b"\1\1\0\0\x3f\0") + data,
            b"\xff\xd9",
        ]
    )


def _table(symbols: list[int]) -> bytes:
    """Return how many codes there are of each length, then their symbols (B.2.4.2)."""
    return bytes([0] * 7 + [len(symbols)] + [0] * 8) + bytes(symbols)


def _ac(values: list[int]) -> str:
    bits, run = "", 0
    last = max((place for place, value in enumerate(values, 1) if value), default=0)
    for value in values[:last]:
        if value == 0:
            run += 1
            continue
        bits += _CODE_OF[0xF0] * (run // 16) + _coded(run % 16, value)
        run = 0
    return bits + (_CODE_OF[0] if last < 63 else "")


def _coded(run: int, value: int) -> str:
    """Return the code of a run of zeros and a value's size, then the value (F.1.2.1)."""
    size = abs(value).bit_length()
    code = _CODE_OF[run << 4 | size]
    return code + (f"{value if value > 0 else value + (1 << size) - 1:0{size}b}" if size else "")


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
