"""pylibjpeg's decoders for pydicom: HTJ2K by OpenJPEG, and a fast RLE.

Registered here, they work without the package `pylibjpeg`. The names of this module's members
are those that pydicom's `Decoder.add_plugin` expects.
"""

from typing import cast

from openjpeg.utils import decode
from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from rle.utils import decode_pixel_data

_HTJ2K = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
DECODER_DEPENDENCIES = dict.fromkeys(_HTJ2K, ("pylibjpeg-openjpeg>=2.0",)) | {
    uid.RLELossless: ("pylibjpeg-rle>=2.0",)
}
LABEL = "overread"


def is_available(syntax: str) -> bool:
    return syntax in DECODER_DEPENDENCIES


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes | bytearray:
    """Return one frame's samples, little endian."""
    if runner.transfer_syntax == uid.RLELossless:
        return _decode_rle(source, runner)
    pixels = decode(source)
    runner.set_option("bits_allocated", pixels.itemsize * 8)
    runner.set_option("planar_configuration", 0)
    if str(runner.photometric_interpretation) in ("YBR_ICT", "YBR_RCT"):
        runner.set_option("photometric_interpretation", "RGB")  # PS3.5 8.2.4: undone by the codec
    return pixels.tobytes()


def _decode_rle(source: bytes, runner: DecodeRunner) -> bytearray:
    """PS3.5 annex G. Colours are returned by plane."""
    runner.set_option("planar_configuration", 1)
    try:
        frame = decode_pixel_data(
            source,
            version=2,
            rows=runner.rows,
            columns=runner.columns,
            bits_allocated=runner.bits_allocated,
        )
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the Rust code is not an Exception
        raise ValueError("the RLE data are damaged") from error
    return cast(bytearray, frame)


def register() -> None:
    for syntax in DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        if LABEL not in decoder.available_plugins:
            decoder.add_plugin(LABEL, (__name__, "decode_frame"))
