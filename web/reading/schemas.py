"""Fields of results and of the work list."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from models.reading.results import Result
from models.reading.studies import Order
from web.http.schemas import Out, Paging, Text


class ResultsQuery(BaseModel):
    job_id: Text | None = None
    format: Literal["jsonl", "json", "csv"] = "jsonl"


class PictureQuery(BaseModel):
    """as_stored: not turned or inverted as the prediction's orientation says."""

    as_stored: bool = False


class StudiesQuery(Paging):
    order: Order = "probability"
    descending: bool = True
    finding: Literal["pneumonia", "normal", "none"] | None = None
    job_id: Text | None = None


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
    images: list[Result]
