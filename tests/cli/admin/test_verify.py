"""`overread verify`"""

from functools import partial

import pytest
from sqlalchemy import select, update

from models.config.settings import Settings
from models.context import AppContext
from models.files.damage import list_damage
from models.operations.seal_inputs import DONE
from models.tables.intake import Image, State
from models.tables.worklist import StudySummary
from models.worklist.summaries import find_stale
from tests.support.data.damage import flip_a_bit
from tests.support.data.kept import fill_history
from tests.support.servers.command import run_on
from tests.support.servers.keeper import Keeper


def test_verify_prints_what_is_intact(context: AppContext) -> None:
    fill_history(context)
    done = run_on(context.settings, "verify")
    assert done.exit_code == 0, done.output
    rows = [line.replace("│", " ").split() for line in done.output.splitlines() if "│" in line]
    assert [(words[:-3], words[-3], words[-1]) for words in rows] == [
        (["uploads"], "3", "0"),
        (["stored", "files"], "3", "0"),
        (["network", "inputs"], "5", "0"),
        (["model", "versions"], "2", "0"),
    ]


def test_verify_repairs_work_list_entries(
    context: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.admin.verify.STUDIES_A_STEP", 1)
    fill_history(context)
    assert "repaired" not in run_on(context.settings, "verify").output
    with context.sessions.begin() as session:
        session.execute(update(StudySummary).values(score=0.123))
        studies = list(session.scalars(select(StudySummary.study_id).distinct()))
        assert find_stale(session, studies) == set(studies)
    assert len(studies) > 1
    done = run_on(context.settings, "verify")
    assert f"repaired work list entries: {len(studies)}" in done.output
    assert done.exit_code == 0
    with context.sessions() as session:
        assert find_stale(session, studies) == set()


def test_verify_names_damaged_files_their_images_and_what_to_do(context: AppContext) -> None:
    fill_history(context)
    with context.sessions() as session:
        ready = session.scalars(select(Image).where(Image.state == State.READY)).one()
    stored = context.store.path(str(ready.stored_sha256))
    network_input = context.store.paths("inputs", ready.sha256)[0]
    folder = context.settings.data_dir / "networks" / "night-1"
    for path in (stored, network_input, folder / "card.json"):
        flip_a_bit(path)
    done = run_on(context.settings, "verify")
    assert done.exit_code == 1
    image = f"(image {ready.id})"
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Verifying")]
    assert sorted(lines) == [
        f"inputs/{network_input.name} {image}: damaged; it is made again within the hour from "
        "its stored file; if there is none, import it again",
        f"networks/night-1: card.json in {folder} is damaged: its checksum differs; "
        "copy its folder from a backup, or promote another version",
        f"stored/{stored.name} {image}: damaged; copy it from a backup, or send its image again",
    ]
    assert stored.exists()
    assert not network_input.exists()
    with context.sessions() as session:
        assert len(list_damage(session)) == 3


def test_verify_share_continues_where_the_last_one_ended(context: AppContext) -> None:
    fill_history(context)
    path = context.store.path(context.store.put_bytes(b"picture 5").sha256)
    flip_a_bit(path)
    codes = [run_on(context.settings, "verify", "--share", 4).exit_code for _ in range(5)]
    found = [0, 0, 0, 0, 0]
    found[int(path.name[:2], 16) // 64] = 1
    found[4] = found[0]
    assert codes == found


def test_verify_of_a_backup_names_what_cannot_be_restored(
    keeper: Keeper, context: AppContext
) -> None:
    fill_history(context)
    verify = partial(run_on, context.settings, "verify", "--backup", keeper.folder)
    assert "no complete backup" in verify().stderr
    keeper.backup()
    assert verify().exit_code == 0
    keeper.backup()
    rotten, lost = keeper.contents()[:2]
    flip_a_bit(rotten)
    lost.unlink()
    first, second = sorted((keeper.folder / "backups").iterdir())
    flip_a_bit(second / "secrets.json")
    done = verify()
    total = len(keeper.contents()) + 1
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        f"backup/{rotten.name}: damaged; run: overread backup FOLDER --check",
        f"{first.name}: 2 of {total} files are missing or damaged",
        f"{second / 'secrets.json'}: missing or damaged; this backup cannot be restored",
        f"{second.name}: 2 of {total} files are missing or damaged",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--share", "4", "--backup", "."], "--share is for the data folder, not for backups"),
        ([], "has no database: no service has run there"),
    ],
)
def test_verify_is_refused_in_one_line(
    settings: Settings, arguments: list[str], message: str
) -> None:
    done = run_on(settings, "verify", *arguments)
    assert (done.exit_code, message in done.stderr) == (2, True)


def test_verify_before_the_upgrade_of_an_older_release_is_refused(context: AppContext) -> None:
    (context.store.root / DONE).unlink()
    done = run_on(context.settings, "verify")
    assert done.exit_code == 2
    assert "network inputs have no seals yet; run: overread migrate" in done.stderr
