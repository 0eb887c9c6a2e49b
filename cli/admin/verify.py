"""`overread verify`"""

import sys
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import click

from cli.admin.backup import translated_errors
from cli.admin.database import opened_database
from cli.errors import UsageProblem
from cli.output import print_table
from cli.params import GivenPath
from cli.progress import stages
from cli.settings import read_settings
from models.files.damage import DAMAGE_AREAS, DamageArea, images_with
from models.files.store import FileStore
from models.operations.backup_integrity import verify_backups
from models.operations.integrity import SHARES, Verified, forget_whole
from models.operations.seal_inputs import are_sealed
from models.operations.verification import Tally, begin_round, verify_next_share, verifying
from models.session import Sessions
from models.worklist.summaries import repair_some

STUDIES_A_STEP = 500

# What an area is called, and what to do about damage in it.
AREAS: dict[DamageArea, tuple[str, str]] = {
    "incoming": ("uploads", "send the file again"),
    "stored": ("stored files", "copy it from a backup, or send its image again"),
    "inputs": (
        "network inputs",
        "it is made again within the hour from its stored file; if there is none, import it again",
    ),
    "networks": ("model versions", "copy its folder from a backup, or promote another version"),
    "backup": ("files of backups", "run: overread backup FOLDER --check"),
}


@click.command()
@click.option("--backup", type=GivenPath(file_okay=False), help="Verify this folder of backups.")
@click.option(
    "--share",
    type=click.IntRange(1, SHARES),
    metavar="N",
    help="Verify an N-th part only, continuing where the last verification ended.",
)
def verify(backup: Path | None, share: int | None) -> None:
    """Compare every stored file with its hash: uploads, images, network inputs, model versions.

    The service verifies a share of them every hour, and all within OVERREAD_VERIFY_DAYS. Damaged
    network inputs are discarded and made again, and work list entries that differ from their
    images' predictions are repaired; nothing else is changed. Needs no running service, but the
    machine that has the data folder.

    Exit code 1: something is damaged or missing.
    """
    if backup and share:
        raise UsageProblem("--share is for the data folder, not for backups")
    tally = Tally()
    lines = _verify_backup(backup, tally) if backup else _verify_data(tally, share or 1)
    print_table(
        ("verified", "files", "MiB", "damaged"),
        (_row(tally, area) for area in DAMAGE_AREAS if tally.files[area]),
    )
    for line in lines:
        click.echo(line, err=True)
    sys.exit(1 if lines else 0)


def _verify_data(tally: Tally, parts: int) -> list[str]:
    settings = read_settings()
    store = FileStore(settings.files_dir)
    with (
        opened_database(settings) as sessions,
        verifying(settings.data_dir, timeout_s=None),
        stages() as report,
    ):
        if not are_sealed(store):
            raise UsageProblem("network inputs have no seals yet; run: overread migrate")
        if parts == 1:
            begin_round(settings.data_dir)
        total = ceil(SHARES / parts)
        for done in range(total):
            report("Verifying", done, total)
            verify_next_share(sessions, store, settings, tally=tally)
        forget_whole(sessions, store, backups=settings.verify_backups)
        if parts == 1:
            _repair_work_list(sessions)
        return _lines(sessions, tally.damaged)


def _repair_work_list(sessions: Sessions) -> None:
    after: int | None = 0
    repaired = 0
    while after is not None:
        with sessions.begin() as session:
            after, wrong = repair_some(session, after=after, limit=STUDIES_A_STEP)
        repaired += wrong
    if repaired:
        click.echo(f"repaired work list entries: {repaired:,}")


def _verify_backup(folder: Path, tally: Tally) -> list[str]:
    with translated_errors(folder, outcome="nothing was verified"), stages() as report:
        faults = verify_backups(folder, tally=tally, report=report)
    return [*(_line(one, []) for one in tally.damaged), *faults]


def _lines(sessions: Sessions, damaged: Sequence[Verified]) -> list[str]:
    with sessions() as session:
        return [_line(one, images_with(session, one.damage)) for one in damaged]


def _line(one: Verified, image_ids: Sequence[int]) -> str:
    images = f" (image {', '.join(map(str, image_ids))})" if image_ids else ""
    return f"{one.damage}{images}: {one.why}; {AREAS[one.area][1]}"


def _row(tally: Tally, area: DamageArea) -> tuple[str, ...]:
    damaged = sum(one.area == area for one in tally.damaged)
    return (
        AREAS[area][0],
        f"{tally.files[area]:,}",
        f"{tally.bytes[area] / 2**20:,.1f}",
        str(damaged),
    )
