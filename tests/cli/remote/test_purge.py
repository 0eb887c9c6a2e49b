"""`overread purge` against a portal: said first, deleted only when asked to."""

from collections.abc import Iterator

import pytest

from models.config.settings import Settings
from models.tables.people import Role
from tests.support.data.uploads import a_png
from tests.support.servers.served import Served, served

STAYS = "1 of the jobs have not ended and stay, however old they are: overread jobs ID --cancel"


@pytest.fixture
def service(settings: Settings) -> Iterator[Served]:
    with served(settings, role=Role.ADMIN) as service:
        yield service


def a_job(service: Served, name: str, *, is_closed: bool = True) -> str:
    portal = service.portal
    job_id = portal.new_job(name)
    portal.send(job_id, ("folder/1.png", a_png(seed=1)))
    portal.read_all()
    if is_closed:
        portal.program().post(f"/api/v1/jobs/{job_id}/close", json={})
    return job_id


def test_what_would_go_is_said_and_goes_only_when_asked(service: Served) -> None:
    ended, still_open = a_job(service, "a [folder]"), a_job(service, "open", is_closed=False)
    said = service.run("purge", "--older-than", "0d")
    assert said.exit_code == 0, said.output
    for part in (ended, "a [folder]", still_open, "it is open", STAYS, "Nothing was deleted"):
        assert part in said.stdout
    assert "1 images of 1 jobs go, with 0 predictions, 0 labels" in said.stdout
    assert "1 contents stay for other jobs" in said.stdout
    assert len(service.portal.images()) == 2

    done = service.run("purge", "--job", ended, "--yes")
    assert done.exit_code == 0, done.output
    assert "Deleted 1 images" in done.stdout
    assert [image.job_id for image in service.portal.images()] == [still_open]
    again = service.run("purge", "--older-than", "0", "--yes")
    assert "There is nothing to delete." in again.stdout
    assert STAYS in again.stdout
    assert service.run("jobs", still_open, "--cancel").exit_code == 0
    service.run("purge", "--job", still_open, "--yes")
    assert service.portal.images() == []


def test_what_cannot_be_purged_is_told_in_one_line(service: Served) -> None:
    for arguments, says in (
        ((), "say either --older-than or --job"),
        (("--job", "x", "--older-than", "1d"), "say either --older-than or --job"),
        (("--older-than", "3 weeks"), "expected a number of days, such as 90d"),
        (("--job", "nosuchjob"), "there is no job nosuchjob"),
    ):
        refused = service.run("purge", *arguments)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert says in refused.stderr
