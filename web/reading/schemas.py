"""Fields of results and of the work list."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from models.reading.results import Result
from models.reading.studies import Place
from models.tables.worklist import StudyFinding
from models.worklist.order import Listing, Order
from web.http.params import LARGEST
from web.http.schemas import Out, Paging, Text


class ResultsQuery(BaseModel):
    job_id: Text | None = None
    format: Literal["jsonl", "json", "csv"] = "jsonl"


class PictureQuery(BaseModel):
    """as_stored: not turned or inverted as the prediction's orientation says."""

    as_stored: bool = False


StudyId = Annotated[int, Field(ge=1, le=LARGEST)]


class ListingQuery(BaseModel):
    order: Order = "probability"
    descending: bool = True
    finding: StudyFinding | None = None
    job_id: Text | None = None

    def listing(self) -> Listing:
        return Listing(self.order, self.descending, self.finding, self.job_id)

    def kept(self) -> dict[str, Any]:
        """For links, without the place in the list."""
        fields = set(ListingQuery.model_fields)
        return self.model_dump(mode="json", exclude_defaults=True, include=fields)


class StudiesQuery(ListingQuery, Paging):
    """after: the study after which the page starts, instead of its number."""

    after: StudyId | None = None

    def place(self) -> Place:
        return Place(after=self.after, page=1 if self.after else self.page)


class WorkListQuery(StudiesQuery):
    """before: the study before which the page ends. start: its first study."""

    before: StudyId | None = None
    start: StudyId | None = None
    last: bool = False

    def place(self) -> Place:
        is_keyed = self.after or self.before or self.start or self.last
        page = 1 if is_keyed else self.page
        return Place(self.after, self.before, self.start, self.last, page)


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
    population: str | None


class StudiesOut(Out):
    """next_after: the next page's `after`, which takes the same time for every page. next: the next
    page's number, where a page was asked for by its number.
    """

    studies: list[StudyOut]
    total: int
    next: int | None
    next_after: int | None


class StudyDetailOut(Out):
    summary: StudyOut
    images: list[Result]
