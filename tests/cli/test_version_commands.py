"""`overread versions`, `promote`, `roll-back` and `reread` against a portal."""

from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from models.learning_tables import Outcome
from models.settings import Settings
from models.tables import Role
from models.tokens import issue_token
from models.versions import install_baseline
from pipeline.version_folder import BASELINE, load_card
from tests.databases import open_database
from tests.nights import SAID, a_night, a_trained_version
from tests.rows import a_user
from tests.serving import serving
from web.app import create_app
from web.services import KEY

SHIPPED = load_card(BASELINE).model_version


@pytest.fixture
def service(settings: Settings) -> Iterator[dict[str, str]]:
    """Where the shipped network is live and the gate refused a candidate; how to reach it."""
    with open_database(settings, make_tables=True) as database:
        with database.sessions.begin() as session:
            admin = a_user(session, name="ada", role=Role.ADMIN)
            token = issue_token(session, user=admin, kind="api")
            install_baseline(session, data_dir=settings.data_dir)
            a_night(session, Outcome.REFUSED, candidate=a_trained_version(session, settings))
        app = create_app(settings)
        with serving(app) as address:
            yield {"OVERREAD_URL": address, "OVERREAD_TOKEN": token}
        app.extensions[KEY].sessions.kw["bind"].dispose()


def run(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner(env=environment).invoke(main, list(arguments))


def test_there_and_back(service: dict[str, str]) -> None:
    refused = run(service, "promote", "night-1")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert SAID[Outcome.REFUSED] in refused.stderr
    assert "despite refusal" in refused.stderr
    moved = run(service, "promote", "night-1", "--despite-refusal", "--reason", "we need it")
    assert (moved.exit_code, moved.stdout) == (0, f"night-1 is live instead of {SHIPPED}\n")
    assert run(service, "promote", "night-1").stdout == "night-1 is live already\n"
    back = run(service, "roll-back", "--reason", "we do not")
    assert (back.exit_code, back.stdout) == (0, f"{SHIPPED} is live again instead of night-1\n")
    assert "nothing to go back to" in run(service, "roll-back").stderr
    unknown = run(service, "promote", "night-9")
    assert (unknown.exit_code, unknown.stderr) == (2, "Error: there is no model version night-9\n")


def test_the_list_and_its_history(service: dict[str, str]) -> None:
    run(service, "promote", "night-1", "--despite-refusal", "--reason", "we need it")
    listed = run(service, "versions")
    assert listed.exit_code == 0, listed.stderr
    rows = [line for line in listed.stdout.splitlines() if "│" in line]
    assert [cell.strip() for cell in rows[0].split("│")[1:3]] == ["night-1", "live"]
    assert [cell.strip() for cell in rows[1].split("│")[1:3]] == [SHIPPED, "was live"]
    newest, oldest = listed.stdout.splitlines()[-2:]
    assert "to now: night-1, promotion by ada: we need it (against the gate: " in newest
    assert oldest.endswith(f"UTC: {SHIPPED}, promotion: ships with the project")


def test_reading_again_is_begun(service: dict[str, str]) -> None:
    begun = run(service, "reread")
    assert (begun.exit_code, begun.stdout) == (0, f"{SHIPPED} has read 0 of 0 images\n")
