"""`overread predict`

`overread predict`, put together: files -> decoders -> network -> lines, table, pictures.

The decoder pool as the settings want it.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from cli.errors import Failed, UsageProblem
from cli.output import ResultTable
from cli.params import GivenPath
from cli.predict.overlays import OverlayFolder
from cli.predict.reader import Answer, Reader, open_items
from cli.progress import Progress, progress
from cli.walk import Walk
from models.config.settings import Settings
from pipeline.errors import NetworkFolderError
from pipeline.files.archive import ArchiveLimits
from pipeline.inference.engine import EngineKind, tensorflow_is_installed
from pipeline.inference.predictor import Predictor
from pipeline.types import OperatingPoint
from worker.decoders import open_decoders

if TYPE_CHECKING:
    from pipeline.inference.engine import EngineKind
    from pipeline.types import OperatingPoint


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=GivenPath())
@click.option(
    "--jsonl",
    "--json",
    "jsonl",
    is_flag=True,
    help="Print JSON lines, each as soon as it is known.",
)
@click.option(
    "--overlays",
    metavar="DIR",
    type=GivenPath(file_okay=False),
    help="Also write pictures that show where the network looked.",
)
@click.option(
    "--engine",
    type=click.Choice(["openvino", "tensorflow"]),
    default="openvino",
    show_default=True,
    help="The compiled network, or the reference.",
)
@click.option(
    "--operating-point",
    type=click.Choice(["balanced", "sensitive"]),
    help="Which of the network's thresholds decides.  [default: OVERREAD_OPERATING_POINT]",
)
def predict(
    paths: tuple[Path, ...],
    jsonl: bool,
    overlays: Path | None,
    engine: "EngineKind",
    operating_point: "OperatingPoint | None",
) -> None:
    """Read files, folders or zips here and now; no service needed.

    Exit code 0: every file was predicted; 1: some were refused or failed.
    """
    from cli.settings import read_settings

    settings = read_settings()
    all_predicted = predict_paths(
        paths,
        settings=settings,
        engine=engine,
        operating_point=operating_point or settings.operating_point,
        as_json=jsonl,
        overlays=overlays,
    )
    sys.exit(0 if all_predicted else 1)


def predict_paths(
    paths: Sequence[Path],
    *,
    settings: Settings,
    engine: EngineKind,
    operating_point: OperatingPoint,
    as_json: bool,
    overlays: Path | None,
) -> bool:
    """True where every file was predicted."""
    walk = Walk(paths)
    total = walk.count()
    if clause := walk.left_out():
        click.echo(clause, err=True)
    pictures = OverlayFolder(overlays) if overlays else None
    # The decoders start at once, and work while the network is loaded.
    with open_decoders(settings) as pool, TemporaryDirectory(prefix="overread-") as scratch:
        predictor = _open(engine, operating_point)
        reader = Reader(pool, predictor, see=pictures.draw if pictures else _ignore)
        items = open_items(walk, scratch=Path(scratch), limits=_archive_limits(settings))
        with progress("Reading", total=total) as shown:
            return _print(_counted(reader.read(items), total, shown), as_json=as_json)


def _print(answers: Iterable[Answer], *, as_json: bool) -> bool:
    all_predicted = True
    table = ResultTable()
    for answer in answers:
        all_predicted = all_predicted and answer.status == "predicted"
        if as_json:
            click.echo(json.dumps(asdict(answer)))
        else:
            table.add(asdict(answer))
    if not as_json:
        table.print()
    return all_predicted


def _counted(answers: Iterable[Answer], total: int, shown: Progress) -> Iterable[Answer]:
    for number, answer in enumerate(answers, start=1):
        # A zip counts as one until its files come out of it.
        shown.show(number, total=max(number, total))
        yield answer


def _open(engine: EngineKind, operating_point: OperatingPoint) -> Predictor:
    if engine == "tensorflow" and not tensorflow_is_installed():
        raise UsageProblem("TensorFlow is not installed; install it with: make setup-train")
    try:
        return Predictor.open(engine=engine, operating_point=operating_point)
    except NetworkFolderError as error:
        raise Failed(str(error)) from None


def _archive_limits(settings: Settings) -> ArchiveLimits:
    return ArchiveLimits(
        max_files=settings.max_archive_files,
        max_bytes=settings.max_archive_bytes,
        max_member_bytes=settings.max_file_bytes,
    )


def _ignore(item: object, prediction: object) -> None:
    pass
