"""High-Throughput JPEG 2000 for pydicom, by OpenJPEG.

pydicom reaches this decoder through the package `pylibjpeg`; used directly, one package
less is installed. The names below are those that `Decoder.add_plugin` asks for.
"""

from openjpeg.utils import decode
from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder

DECODER_DEPENDENCIES = dict.fromkeys(
    (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K), ("pylibjpeg-openjpeg>=2.0",)
)
_LABEL = "openjpeg"


def is_available(syntax: str) -> bool:
    return syntax in DECODER_DEPENDENCIES


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """Return one frame's samples, little endian, pixel by pixel."""
    pixels = decode(source)
    runner.set_option("bits_allocated", pixels.itemsize * 8)
    runner.set_option("planar_configuration", 0)
    if str(runner.photometric_interpretation) in ("YBR_ICT", "YBR_RCT"):
        runner.set_option("photometric_interpretation", "RGB")  # PS3.5 8.2.4: undone by the codec
    return pixels.tobytes()


def register() -> None:
    for syntax in DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        if _LABEL not in decoder.available_plugins:
            decoder.add_plugin(_LABEL, (__name__, "decode_frame"))
