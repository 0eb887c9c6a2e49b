"""`overread purge` against a portal: said first, deleted only when asked to."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from models.settings import Settings
from models.tables import Role
from tests.databases import open_database
from tests.serving import serving
from tests.uploads import a_png
from tests.web.portal import Portal
from web.app import create_app
from web.services import KEY


@dataclass(frozen=True)
class Served:
    portal: Portal
    url: str

    def run(self, *arguments: str) -> Result:
        token = self.portal.token(Role.ADMIN)
        environment = {"OVERREAD_URL": self.url, "OVERREAD_TOKEN": token}
        return CliRunner(env=environment).invoke(main, ["purge", *arguments])

    def a_job(self, name: str, *, is_closed: bool = True) -> str:
        job_id = self.portal.new_job(name)
        self.portal.send(job_id, ("folder/1.png", a_png(seed=1)))
        self.portal.read_all()
        if is_closed:
            self.portal.program().post(f"/api/v1/jobs/{job_id}/close", json={})
        return job_id


@pytest.fixture
def served(settings: Settings) -> Iterator[Served]:
    with open_database(settings, make_tables=True) as database:
        app = create_app(settings)
        portal = Portal(database, app, app.extensions[KEY])
        with serving(app) as url:
            yield Served(portal, url)
        app.extensions[KEY].sessions.kw["bind"].dispose()


def test_what_would_go_is_said_and_goes_only_when_asked(served: Served) -> None:
    ended, still_open = served.a_job("a [folder]"), served.a_job("open", is_closed=False)
    said = served.run("--older-than", "0d")
    assert said.exit_code == 0, said.output
    for part in (ended, "a [folder]", still_open, "it is open", "Nothing was deleted"):
        assert part in said.stdout
    assert "1 images of 1 jobs go, with 0 predictions, 0 labels" in said.stdout
    assert "1 contents stay for other jobs" in said.stdout
    assert len(served.portal.images()) == 2

    done = served.run("--job", ended, "--yes")
    assert done.exit_code == 0, done.output
    assert "Deleted 1 images" in done.stdout
    assert [image.job_id for image in served.portal.images()] == [still_open]
    again = served.run("--older-than", "0", "--yes")
    assert "There is nothing to delete." in again.stdout


def test_what_cannot_be_purged_is_told_in_one_line(served: Served) -> None:
    for arguments, says in (
        ((), "say either --older-than or --job"),
        (("--job", "x", "--older-than", "1d"), "say either --older-than or --job"),
        (("--older-than", "3 weeks"), "expected a number of days, such as 90d"),
        (("--job", "nosuchjob"), "there is no job nosuchjob"),
    ):
        refused = served.run(*arguments)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert says in refused.stderr
