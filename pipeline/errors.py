"""Errors of the pipeline; messages are for the user who sent the file."""

from enum import StrEnum
from functools import partial
from typing import NamedTuple


class PipelineError(Exception):
    """Base of everything that `pipeline` raises on purpose."""


class RefusalCode(StrEnum):
    """Kinds of refusals. The values are labels of Prometheus metrics: never rename one."""

    STOPPED_WORKER = "stopped-worker"
    BYTES_MISSING = "bytes-missing"
    BYTES_DAMAGED = "bytes-damaged"
    DECODER_TIMEOUT = "decoder-timeout"
    DECODER_CRASH = "decoder-crash"
    UNEXPECTED = "unexpected"
    NOT_AN_IMAGE = "not-an-image"
    NOT_FRONTAL_CHEST = "not-frontal-chest"
    ARCHIVE = "archive"
    TOO_LARGE = "too-large"
    TOO_SMALL = "too-small"
    UNSUPPORTED = "unsupported"
    DAMAGED = "damaged"
    OTHER = "other"


class Reason(NamedTuple):
    """Why an image was refused or failed. clause: without the file's name and patient data."""

    code: RefusalCode
    clause: str


class RefusedError(PipelineError):
    """A file cannot be used, and the file is at fault.

    Callers that show it put the file's name in front: `f"{name}: {error}"`.
    """

    def __init__(self, code: RefusalCode, clause: str) -> None:
        super().__init__(code, clause)  # both in `args`, so that it can be pickled
        self.reason = Reason(code, clause)

    def __str__(self) -> str:
        return self.reason.clause


# Short constructors of the common kinds: `raise damaged("the archive is cut short")`.
damaged = partial(RefusedError, RefusalCode.DAMAGED)
too_large = partial(RefusedError, RefusalCode.TOO_LARGE)
unsupported = partial(RefusedError, RefusalCode.UNSUPPORTED)
not_frontal_chest = partial(RefusedError, RefusalCode.NOT_FRONTAL_CHEST)
not_an_image = partial(RefusedError, RefusalCode.NOT_AN_IMAGE)
bad_archive = partial(RefusedError, RefusalCode.ARCHIVE)


class DecoderError(PipelineError):
    """A decoder process does not start, or gets no file: a fault of the machine, not of a file."""


class NetworkFolderError(PipelineError):
    """A model version's folder is incomplete, damaged, or of another format."""


class DamagedFileError(PipelineError):
    """A stored file is not what was written."""
