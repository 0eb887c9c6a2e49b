"""The decoder processes, as the settings want them."""

from models.config.settings import Settings
from pipeline.limits import Limits
from pipeline.prepare.pool import DecoderPool


def open_decoders(
    settings: Settings, *, key: bytes | None = None, files: int | None = None
) -> DecoderPool:
    """key: with it, patient and study of a DICOM file are returned as keyed hashes.

    files: how many there are, if that is known: a process that would get none is not started.
    """
    processes = settings.decode_processes
    return DecoderPool(
        processes=processes if files is None else min(processes, files),
        timeout_s=settings.decode_timeout_s,
        limits=Limits(max_bytes=settings.max_file_bytes),
        key=key,
    )
