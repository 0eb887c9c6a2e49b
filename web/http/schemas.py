"""What the API says and accepts, field by field; the OpenAPI description is made from these."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from models.tables.intake import State

# Filters and orders of the work list.
Order = Literal["probability", "created_at", "label", "images"]
FindingFilter = Literal["pneumonia", "normal", "none"]
LAST_PAGE = 1_000_000  # databases cannot count to any number


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True, protected_namespaces=())


class In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Paging(BaseModel):
    page: int = Field(1, ge=1, le=LAST_PAGE)


class Problem(BaseModel):
    """RFC 9457."""

    title: str
    status: int


class NewJob(In):
    name: str = Field(min_length=1, max_length=200)
    key: str | None = Field(
        None,
        pattern=r"^[!-~]{16,64}$",
        description="Chosen by the sender, at random: an answer that was lost can be asked for "
        "again without a second job being made.",
    )


class JobOut(Out):
    id: str
    name: str
    created_at: datetime
    closed_at: datetime | None
    finished: bool
    received: int
    ready: int
    predicted: int
    rejected: int
    failed: int
    total: int
    images_per_second: float | None
    seconds_left: float | None
    cancelled: int
    cancelled_at: datetime | None
    declared: int
    missing: int
    given_up: int


class JobsOut(Out):
    jobs: list[JobOut]
    next: int | None


class FileOut(Out):
    file: str
    sha256: str
    status: str
    reason: str | None


class FilesOut(Out):
    """files: one entry for each image row, a thousand at most; unlisted: how many more there are.

    ignored: names of files that are no images by nature.
    """

    files: list[FileOut]
    ignored: list[str]
    unlisted: int


class ResultOut(Out):
    file: str
    sha256: str
    status: str
    reason: str | None
    finding: str | None
    probability: float | None
    threshold: float | None
    unfamiliarity: float | None
    warnings: list[str]
    model_version: str | None
    study: str | None
    job_id: str
    image_id: int
    operating_point: str | None
    temperature: float | None
    heatmap_peak: float | None
    heatmap_concentration: float | None
    heatmap_inside_body: float | None
    reason_code: str | None


class ResultsOut(Out):
    images: list[ResultOut]
    next: int | None


class ImagesQuery(Paging):
    state: State | None = None


class ResultsQuery(BaseModel):
    job_id: str | None = None
    format: Literal["jsonl", "json", "csv"] = "jsonl"


class StudiesQuery(Paging):
    order: Order = "probability"
    descending: bool = True
    finding: FindingFilter | None = None
    job_id: str | None = None


class StudyOut(Out):
    id: int
    label: str
    created_at: datetime
    images: int
    predicted: int
    finding: str | None
    probability: float | None
    threshold: float | None
    operating_point: str | None
    temperature: float | None


class StudiesOut(Out):
    studies: list[StudyOut]
    total: int
    next: int | None


class StudyDetailOut(Out):
    summary: StudyOut
    images: list[ResultOut]


class HealthOut(Out):
    status: Literal["ok", "unhealthy"]
    database: bool
    broker: bool
