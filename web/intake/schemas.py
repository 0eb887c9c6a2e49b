"""What the API says and accepts of declared files, and of a job's end and new beginning."""

from typing import Literal

from pydantic import Field

from models.intake.uploads import UploadState
from web.http.schemas import FilesOut, In, JobOut, Out, Paging


class DeclaredFile(In):
    """sha256: left out by senders that cannot tell; then it is not checked."""

    file: str = Field(max_length=4096)
    size: int = Field(ge=0, le=2**50)
    sha256: str | None = Field(None, pattern="^([0-9a-f]{64})?$")


class DeclaredFiles(In):
    files: list[DeclaredFile] = Field(min_length=1, max_length=1000)


class UploadOut(Out):
    """received: bytes of it that are safe; arrived: whole, checked, and its images have rows."""

    id: int
    file: str
    size: int
    sha256: str
    received: int
    arrived: bool


class UploadsOut(Out):
    uploads: list[UploadOut]


class UploadsPageOut(UploadsOut):
    next: int | None


class UploadsQuery(Paging):
    state: UploadState | None = None


class PieceOut(FilesOut):
    """files, ignored, unlisted: what the whole file turned out to hold, once it has arrived."""

    received: int
    arrived: bool


class Closing(In):
    """missing: what to do about declared files that have not arrived."""

    missing: Literal["refuse", "give_up"] = "refuse"


class Retrying(In):
    """failed: also what was cancelled. all: also what was refused, or read by earlier versions."""

    which: Literal["failed", "all"] = "failed"


class RetriedOut(Out):
    """left: images that stay as they are, since none of their bytes are there any more."""

    retried: int
    left: int
    job: JobOut
