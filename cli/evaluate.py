"""`overread evaluate`"""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.given_path import GivenPath

if TYPE_CHECKING:
    from pipeline.types import OperatingPoint


@click.command()
@click.argument("source", metavar="DIR|CSV", type=GivenPath())
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option(
    "--report",
    metavar="DIR",
    type=GivenPath(file_okay=False),
    help="Also write DIR/index.html: figures, curves and the worst errors, in one file.",
)
@click.option(
    "--operating-point",
    type=click.Choice(["balanced", "sensitive"]),
    default="balanced",
    show_default=True,
    help="Which of the version's thresholds decides.",
)
@click.option(
    "--split",
    metavar="NAME",
    help="Which of DIR's splits. Where there is no folder validation, that name means the patients "
    "in DIR/train that the version's training set aside, as its card tells.",
)
@click.option(
    "--version",
    metavar="FOLDER",
    type=GivenPath(),
    help="The model version; default: the one that ships.",
)
@click.option(
    "--root",
    metavar="DIR",
    type=GivenPath(exists=True, file_okay=False),
    help="Where the CSV's files are; default: beside it.",
)
@click.option("--patient-column", metavar="NAME", help="The CSV's column with the patient.")
@click.option(
    "--as-normal",
    metavar="LABEL",
    multiple=True,
    help="Count this label of the CSV among the normal ones, too; may be repeated.",
)
def evaluate(
    source: Path,
    as_json: bool,
    report: Path | None,
    operating_point: "OperatingPoint",
    split: str | None,
    version: Path | None,
    root: Path | None,
    patient_column: str | None,
    as_normal: tuple[str, ...],
) -> None:
    """Measure a model version on labelled images.

    DIR holds NORMAL/ and PNEUMONIA/, or splits that hold them. A CSV has the columns file and
    label (normal or pneumonia, 0 or 1; others are left out), perhaps patient. Without it, patients
    are read from the file names. Every figure comes with its 95 % bootstrap interval over patients.

    Exit code 0: every image was read; 1: some were refused.
    """
    from cli.evaluating import evaluate_source, open_source, open_version
    from cli.settings import read_settings
    from pipeline.inference.version_folder import BASELINE

    settings = read_settings()
    predictor = open_version(version or BASELINE, operating_point)
    images = open_source(
        source,
        card=predictor.card,
        split=split,
        root=root,
        patient_column=patient_column,
        as_normal=as_normal,
    )
    all_read = evaluate_source(
        images,
        predictor=predictor,
        settings=settings,
        as_json=as_json,
        report=report,
        command=shlex.join(["overread", *sys.argv[1:]]),
    )
    sys.exit(0 if all_read else 1)
