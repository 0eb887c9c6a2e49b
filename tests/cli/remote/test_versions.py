"""`overread versions`, `promote`, `roll-back` and `reread` against a portal."""

from models.learning.promotion import install_baseline
from models.tables.learning import Outcome
from pipeline.inference.version_folder import BASELINE, load_card
from tests.support.data.nights import SAID, a_night, a_trained_version
from tests.support.servers.portal_server import ServedPortal

SHIPPED = load_card(BASELINE).model_version


def test_promote_list_reread_and_roll_back(service: ServedPortal) -> None:
    """The shipped network is in production; the gate refused a candidate."""
    with service.portal.database.sessions.begin() as session:
        install_baseline(session, data_dir=service.settings.data_dir)
        version = a_trained_version(session, service.settings)
        a_night(session, Outcome.REFUSED, candidate=version)
    refused = service.run("promote", "night-1")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert SAID[Outcome.REFUSED] in refused.stderr
    assert "despite_refusal" in refused.stderr
    moved = service.run("promote", "night-1", "--despite-refusal", "--reason", "we need it")
    assert (moved.exit_code, moved.stdout) == (
        0,
        f"night-1 is in production instead of {SHIPPED}\n",
    )
    assert service.run("promote", "night-1").stdout == "night-1 is in production already\n"
    unknown = service.run("promote", "night-9")
    assert (unknown.exit_code, unknown.stderr) == (2, "Error: model version night-9 not found\n")

    listed = service.run("versions")
    assert listed.exit_code == 0, listed.stderr
    rows = [line for line in listed.stdout.splitlines() if "│" in line]
    assert [cell.strip() for cell in rows[0].split("│")[1:3]] == ["night-1", "live"]
    assert [cell.strip() for cell in rows[1].split("│")[1:3]] == [SHIPPED, "was live"]
    newest, oldest = listed.stdout.splitlines()[-2:]
    assert "to now: night-1, promotion by a admin: we need it (against the gate: " in newest
    assert oldest.endswith(f"UTC: {SHIPPED}, promotion: ships with the project")

    back = service.run("roll-back", "--reason", "we do not")
    assert (back.exit_code, back.stdout) == (
        0,
        f"{SHIPPED} is in production again instead of night-1\n",
    )
    assert "nothing to roll back to" in service.run("roll-back").stderr
    started = service.run("reread")
    assert (started.exit_code, started.stdout) == (0, f"{SHIPPED} has predicted 0 of 0 images\n")
