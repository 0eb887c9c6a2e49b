"""Fields of declared files, pieces, and what may be done with a job."""

from typing import Literal

from pydantic import BaseModel, Field, StrictInt

from models.intake.jobs import JobProgress
from models.intake.uploads import UploadState
from models.reading.results import Result
from models.tables.intake import State, Upload
from web.http.schemas import FilesOut, In, Out, Paging, Text, out_model
from web.readiness import Waiting

OTHER_SHA256 = "the SHA-256 differs from the declared one: send the file again from its start"
WaitingOut = out_model(Waiting, "WaitingOut")
JobOut = out_model(
    JobProgress,
    "JobOut",
    about="\nwaiting_for: what the service lacks to read this job's images; null while it can.",
    waiting_for=WaitingOut | None,
)


class NewJob(In):
    name: Text = Field(min_length=1, max_length=200)
    key: str | None = Field(
        None,
        pattern=r"^[!-~]{16,64}$",
        description="Random, chosen by the client: a repeated request with the same key returns "
        "the same job.",
    )


class JobsOut(Out):
    jobs: list[JobProgress]
    next: int | None


class ImagesQuery(Paging):
    state: State | None = None


class ImagesOut(Out):
    images: list[Result]
    next: int | None


class DeclaredFile(In):
    """sha256: optional; checked when the file has arrived."""

    file: str = Field(max_length=4096)
    size: StrictInt = Field(ge=0, le=2**50)
    sha256: str | None = Field(None, pattern="^([0-9a-f]{64})?$")


class DeclaredFiles(In):
    files: list[DeclaredFile] = Field(min_length=1, max_length=1000)


class UploadOut(Out):
    """received: bytes that are stored; arrived: complete and checked, its images have rows."""

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


class BatchQuery(BaseModel):
    ids: str = Field(
        pattern=r"^[0-9]{1,9}(,[0-9]{1,9}){0,127}$",
        description="The uploads whose bytes follow each other in the body, at most 128.",
    )


class HandedOver(In):
    token: str = Field(pattern=r"^[0-9a-f]{32}$", description="In the names of the files.")
    ids: list[StrictInt] = Field(min_length=1, max_length=128, description="The uploads.")


SentStatus = Literal["arrived", "arrived_before", "wrong_sha256"]


class SentOut(Out):
    """reason: why the file is still missing."""

    id: int
    status: SentStatus
    reason: str | None


def sent_out(upload: Upload, status: SentStatus) -> SentOut:
    reason = OTHER_SHA256 if status == "wrong_sha256" else None
    return SentOut(id=upload.id, status=status, reason=reason)


class BatchOut(FilesOut):
    """uploads: in the order sent. files, ignored, unlisted: what those that arrived contain."""

    uploads: list[SentOut]


class PieceOut(FilesOut):
    """files, ignored, unlisted: what the file contains, in the answer to its last piece."""

    received: int
    arrived: bool


class Closing(In):
    """missing: what to do about declared files that have not arrived."""

    missing: Literal["refuse", "give_up"] = "refuse"


class Retrying(In):
    """failed: failed and cancelled images. all: also rejected ones and those that the production
    version has not read.
    """

    which: Literal["failed", "all"] = "failed"


class RetriedOut(Out):
    """left: images that cannot be retried, since their files were deleted."""

    retried: int
    left: int
    job: JobProgress
