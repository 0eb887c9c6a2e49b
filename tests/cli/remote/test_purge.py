"""`overread purge` against a portal."""

from tests.support.data.uploads import a_png
from tests.support.servers.portal_server import ServedPortal

STAYS = (
    "Not ended, and kept: 1 job. To delete one, cancel it with overread jobs ID --cancel, "
    "then run overread purge --job ID."
)


def a_job(service: ServedPortal, name: str, *, is_closed: bool = True) -> str:
    portal = service.portal
    job_id = portal.new_job(name)
    portal.send(job_id, ("folder/1.png", a_png(seed=1)))
    portal.read_all()
    if is_closed:
        portal.program().post(f"/api/v1/jobs/{job_id}/close", json={})
    return job_id


def test_purge_counts_first_and_deletes_only_with_yes(service: ServedPortal) -> None:
    ended, still_open = a_job(service, "a folder"), a_job(service, "open", is_closed=False)
    said = service.run("purge", "--older-than", "0d")
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines()[:2] == [
        "To delete: 1 image, 0 predictions, 0 labels of 1 job, and files.",
        STAYS,
    ]
    assert "Nothing was deleted" in said.stdout
    assert len(service.portal.images()) == 2

    done = service.run("purge", "--job", ended, "--yes")
    assert done.exit_code == 0, done.output
    assert "Deleted 1 image." in done.stdout
    assert [image.job_id for image in service.portal.images()] == [still_open]
    again = service.run("purge", "--older-than", "0", "--yes")
    assert "Nothing to delete." in again.stdout
    assert STAYS in again.stdout
    assert service.run("jobs", still_open, "--cancel").exit_code == 0
    service.run("purge", "--job", still_open, "--yes")
    assert service.portal.images() == []


def test_purge_refuses_wrong_options_in_one_line(service: ServedPortal) -> None:
    for arguments, says in (
        ((), "expected either --older-than or --job"),
        (("--job", "x", "--older-than", "1d"), "expected either --older-than or --job"),
        (("--older-than", "3 weeks"), "expected a number of days, such as 90d"),
        (("--job", "nosuchjob"), "job nosuchjob not found"),
    ):
        refused = service.run("purge", *arguments)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert says in refused.stderr
