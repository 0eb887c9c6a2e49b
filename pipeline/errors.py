"""Errors of the pipeline; messages are for the user who sent the file."""

from enum import StrEnum
from typing import NamedTuple


class PipelineError(Exception):
    """Base of everything that `pipeline` raises on purpose."""


class RefusalCode(StrEnum):
    """Kinds of refusals. The values are labels of Prometheus metrics: never rename one."""

    STOPPED_WORKER = "stopped-worker"
    BYTES_MISSING = "bytes-missing"
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

    `str(error)` is one plain clause, without the file's name and without patient data; callers
    that show it put the name in front: `f"{name}: {error}"`.
    """

    def __init__(self, code: RefusalCode, sentence: str) -> None:
        super().__init__(code, sentence)  # both in `args`, so that it can be pickled
        self.code = code
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence

    @property
    def reason(self) -> Reason:
        return Reason(self.code, self.sentence)


def damaged(sentence: str) -> RefusedError:
    return RefusedError(RefusalCode.DAMAGED, sentence)


def too_large(sentence: str) -> RefusedError:
    return RefusedError(RefusalCode.TOO_LARGE, sentence)


def unsupported(sentence: str) -> RefusedError:
    return RefusedError(RefusalCode.UNSUPPORTED, sentence)


def not_frontal_chest(sentence: str) -> RefusedError:
    return RefusedError(RefusalCode.NOT_FRONTAL_CHEST, sentence)


def not_an_image(sentence: str) -> RefusedError:
    return RefusedError(RefusalCode.NOT_AN_IMAGE, sentence)


def bad_archive(sentence: str) -> RefusedError:
    return RefusedError(RefusalCode.ARCHIVE, sentence)


class NetworkFolderError(PipelineError):
    """A model version's folder is incomplete, damaged, or of another format."""
