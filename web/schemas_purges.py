"""What the API says and accepts of purges."""

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from web.schemas import In, Out


class Purge(In):
    """One job, or all that ended so many days ago. dry_run: say what would go, delete nothing."""

    older_than_days: int | None = Field(None, ge=0, le=100_000)
    job_id: str | None = Field(None, min_length=1, max_length=32)
    dry_run: bool = True

    @model_validator(mode="after")
    def _check_is_one(self) -> Self:
        if (self.older_than_days is None) == (self.job_id is None):
            raise ValueError("say either older_than_days or job_id")
        return self


class PurgeJobOut(Out):
    """goes, stays: its images. why: what keeps them, or all of the job."""

    id: str
    name: str
    created_at: datetime
    goes: int
    stays: int
    why: str


class PurgeCountsOut(Out):
    """What goes, of all jobs. unended: jobs of that age that stay, since they have not ended.

    shared: contents that another job has, too: their files stay.
    """

    jobs: int
    unended: int
    images: int
    contents: int
    shared: int
    predictions: int
    labels: int
    fingerprints: int
    uploads: int
    files: int
    bytes: int


class PurgeOut(Out):
    """jobs: the oldest 500. purged: images that this request deleted. done: none is left to go.

    A purge goes on for a few seconds a request: send the same again until it is done.
    """

    dry_run: bool
    jobs: list[PurgeJobOut]
    counts: PurgeCountsOut | None
    purged: int
    done: bool
