"""The decoder pool as the settings want it."""

from models.settings import Settings
from pipeline.decoder_pool import DecoderPool
from pipeline.limits import Limits


def open_decoders(settings: Settings) -> DecoderPool:
    return DecoderPool(
        processes=settings.decode_processes,
        timeout_s=settings.decode_timeout_s,
        limits=Limits(max_bytes=settings.max_file_bytes),
    )
