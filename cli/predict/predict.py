"""`overread predict`"""

import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from cli.errors import UsageProblem
from cli.output import ResultTable
from cli.params import GivenPath
from cli.progress import progress
from cli.walk import Walk

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
    help="Also write images with the heatmap overlaid to this folder.",
)
@click.option(
    "--engine",
    type=click.Choice(["openvino", "tensorflow"]),
    default="openvino",
    show_default=True,
    help="The compiled network or the reference.",
)
@click.option(
    "--operating-point",
    type=click.Choice(["balanced", "sensitive"]),
    help="Threshold to apply.  [default: OVERREAD_OPERATING_POINT]",
)
def predict(
    paths: tuple[Path, ...],
    jsonl: bool,
    overlays: Path | None,
    engine: "EngineKind",
    operating_point: "OperatingPoint | None",
) -> None:
    """Predict files, folders or zips on this machine, without a service.

    OVERREAD_PREVALENCE, a share such as 0.1, adds the probability at that prevalence of pneumonia.

    Exit code 0: every file was predicted, and every overlay written; 1: some were not.
    """
    from cli.predict.overlays import OverlayFolder
    from cli.predict.reader import Reader, holds_archive, open_items
    from cli.settings import read_settings
    from pipeline.files.archive import ArchiveLimits
    from pipeline.inference.engine import tensorflow_is_installed
    from pipeline.inference.predictor import Predictor
    from worker.decoders import open_decoders

    settings = read_settings()
    if engine == "tensorflow" and not tensorflow_is_installed():
        raise UsageProblem("TensorFlow is not installed; run: make setup-train")
    walk = Walk(paths)
    total = walk.count()
    if clause := walk.left_out():
        click.echo(clause, err=True)
    folder = OverlayFolder(overlays) if overlays else None
    limits = ArchiveLimits(
        max_files=settings.max_archive_files,
        max_bytes=settings.max_archive_bytes,
        max_member_bytes=settings.max_file_bytes,
    )
    all_predicted = True
    table = ResultTable()
    # The decoders start first and work while the network is loaded.
    with (
        open_decoders(settings, files=None if holds_archive(walk) else total) as pool,
        TemporaryDirectory(prefix="overread-") as scratch,
        progress("Reading", total=total) as shown,
    ):
        point = operating_point or settings.operating_point
        predictor = Predictor.open(engine=engine, operating_point=point, cache=settings.cache_dir)
        draw = partial(folder.draw, pool=pool) if folder else None
        reader = Reader(pool, predictor, on_prediction=draw, prevalence=settings.prevalence)
        items = open_items(walk, scratch=Path(scratch), limits=limits)
        for number, result in enumerate(reader.read(items), start=1):
            shown.show(number, total=max(number, total))  # zips were counted as one file
            all_predicted = all_predicted and result.status == "predicted"
            if jsonl:
                click.echo(json.dumps(asdict(result)))
            else:
                table.add(asdict(result))
    if not jsonl:
        table.print()
    are_drawn = folder is None or folder.is_complete
    sys.exit(0 if all_predicted and are_drawn else 1)
