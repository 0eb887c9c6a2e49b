"""`overread predict`"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.given_path import GivenPath

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
    from cli.predicting import predict_paths
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
