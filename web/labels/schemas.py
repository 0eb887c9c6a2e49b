"""Fields of labels."""

from datetime import datetime

from pydantic import ConfigDict, Field, StrictInt, model_validator

from models.learning.label_lists import LabelCounts
from models.tables.learning import LabelValue, Source
from models.tables.people import Role
from web.http.params import LARGEST
from web.http.schemas import In, Out, Paging, one_of, out_model
from web.labels.csv_file import BadRow


class GivenLabel(In):
    """The label of one image, named by its SHA-256 or its id."""

    model_config = ConfigDict(json_schema_extra=one_of("sha256", "image_id"))

    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    image_id: StrictInt | None = Field(None, ge=1, le=LARGEST)
    label: LabelValue

    @model_validator(mode="after")
    def _names_one(self) -> "GivenLabel":
        if (self.sha256 is None) == (self.image_id is None):
            raise ValueError("expected either sha256 or image_id")
        return self


class GivenLabels(In):
    labels: list[GivenLabel] = Field(min_length=1, max_length=1000)


class TakenOut(Out):
    """unchanged: the reader had given the same label before."""

    added: int
    unchanged: int


class TableTakenOut(TakenOut):
    """problems: refused rows. ignored_columns: unknown titles. encoding: as which it was read.

    notes: sentences on a guessed encoding, on rows that repeat another, and on contradictory ones.
    """

    problems: list[BadRow]
    ignored_columns: list[str]
    encoding: str
    notes: list[str]


class LabelsQuery(Paging):
    """after: the last page's `next_after`, instead of a page."""

    only_conflicts: bool = False
    after: int | None = Field(None, ge=1, le=LARGEST)


class SaidOut(Out):
    """role: None for imported data sets. sent_by: the user who submitted it."""

    label: LabelValue
    reader: str
    role: Role | None
    read_at: datetime
    source: Source
    sent_by: str


class LabelOut(SaidOut):
    """The valid label of one image. said: each reader's latest, the valid one first."""

    sha256: str
    image_id: int | None
    study_id: int | None
    is_conflict: bool
    said: list[SaidOut]


class LabelsOut(Out):
    """next_after: the next page's `after`, which takes the same time for every page. next: the next
    page's number, where a page was asked for by its number.
    """

    labels: list[LabelOut]
    total: int
    next: int | None
    next_after: int | None


LabelSummaryOut = out_model(
    LabelCounts,
    "LabelSummaryOut",
    about=" new: labels since the last training, counted up to 1,000 or `wanted`, the larger one; "
    "wanted: the number that starts the next.",
    new=int,
    wanted=int,
    next_night=datetime | None,
)
