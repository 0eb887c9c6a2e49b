"""`overread evaluate`: measure a model version on labelled images."""

import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from cli.errors import Failed, UsageProblem, one_line_errors
from cli.learn.evaluation_table import print_evaluation
from cli.output import make_folder
from cli.params import GivenPath
from cli.progress import Progress, progress
from cli.settings import read_settings
from pipeline.errors import RefusedError
from pipeline.evaluation.evaluate import ScoreCollector
from pipeline.evaluation.evaluate import evaluate as evaluate_scores
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import BASELINE, Card
from pipeline.prepare.pool import DecoderPool
from pipeline.reports.evaluation_report import WorstErrors, write_report
from pipeline.training.labelled.contents import Contents, read_contents
from pipeline.training.labelled.dataset import LabelledSource, open_split
from pipeline.training.labelled.image import DatasetError, LabelledImage, RefusedImage
from pipeline.training.labelled.table import LabelledTable
from pipeline.types import OperatingPoint
from worker.decoders import open_decoders

LISTED = 1000  # refused files that are named; all are counted


@click.command()
@click.argument("path", metavar="DIR|CSV", type=GivenPath())
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON.")
@click.option(
    "--report",
    metavar="DIR",
    type=GivenPath(file_okay=False),
    help="Also write DIR/index.html: metrics, curves and the worst errors, in one file.",
)
@click.option(
    "--operating-point",
    type=click.Choice(["balanced", "sensitive"]),
    default="balanced",
    show_default=True,
    help="Which of the version's thresholds to use.",
)
@click.option(
    "--split",
    metavar="NAME",
    help="A split of DIR. Without a folder validation, that name means the patients in DIR/train "
    "that the version's training set aside.",
)
@click.option(
    "--version",
    metavar="FOLDER",
    type=GivenPath(),
    help="The model version; default: the shipped one.",
)
@click.option(
    "--root",
    metavar="DIR",
    type=GivenPath(exists=True, file_okay=False),
    help="Folder of the CSV's files; default: the CSV's own.",
)
@click.option("--patient-column", metavar="NAME", help="Column of the CSV that names the patient.")
@click.option(
    "--as-normal",
    metavar="LABEL",
    multiple=True,
    help="Count this label of the CSV as normal, too; may be repeated.",
)
def evaluate(
    path: Path,
    as_json: bool,
    report: Path | None,
    operating_point: OperatingPoint,
    split: str | None,
    version: Path | None,
    root: Path | None,
    patient_column: str | None,
    as_normal: tuple[str, ...],
) -> None:
    """Measure a model version on labelled images.

    DIR holds NORMAL/ and PNEUMONIA/, or splits that hold them. A CSV has the columns file and
    label (normal or pneumonia, 0 or 1; others are left out), and optionally patient; otherwise
    patients are read from the file names. Copies count once; images with contradictory labels are
    left out. Metrics have 95 % bootstrap intervals over patients.

    Exit code 0: every image was read; 1: some were refused.
    """
    settings = read_settings()
    try:
        predictor = Predictor.open(version or BASELINE, operating_point=operating_point)
        source = open_source(
            path,
            card=predictor.card,
            split=split,
            root=root,
            patient_column=patient_column,
            as_normal=as_normal,
        )
        images = list(source)
    except DatasetError as error:
        raise UsageProblem(str(error)) from None
    name = source.name
    if not images:
        raise UsageProblem("; ".join([f"{name}: no labelled images", *source.notes]))
    if report:
        make_folder(report)  # before the work, not after it
    with progress("Listing", total=len(images)) as shown:
        contents = read_contents(images, progress=shown.show)
    reading = Reading(contents)
    with open_decoders(settings) as pool:
        with progress("Evaluating", total=len(contents.blobs)) as shown:
            reading.read(pool, predictor, shown)
        notes = [*source.notes, *contents.notes()]
        scores = reading.collector.scores()
        if not len(scores):
            reasons = [f"{one.file}: {one.reason}" for one in reading.refused[:1]] or notes
            raise Failed(f"{name}: no image could be read; {'; '.join(reasons)}")
        found = evaluate_scores(scores, card=predictor.card) | reading.not_counted()
        found |= {**contents.as_json(), "notes": notes, **described(source)}
        if report:
            with one_line_errors(report):
                written = write_report(
                    report,
                    found,
                    scores,
                    card=predictor.card,
                    name=name,
                    notes=notes,
                    errors=reading.errors,
                    levels_of=pool.levels,
                    command=shlex.join(["overread", *sys.argv[1:]]),
                )
            click.echo(f"Report: {written}", err=True)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        print_evaluation(found, name=name)
    sys.exit(1 if reading.refused else 0)


class Reading:
    """What is kept of the images read: scores, the worst errors, and what was refused."""

    def __init__(self, contents: Contents) -> None:
        self._images = [blob.counted for blob in contents.blobs]
        self.collector = ScoreCollector()
        self.errors = WorstErrors()
        self.refused = list(contents.refused)

    def read(self, pool: DecoderPool, predictor: Predictor, shown: Progress) -> None:
        before = len(self.refused)
        predictions = predictor.predict_each(self._decoded(pool))
        for number, (image, prediction) in enumerate(predictions, start=1):
            self.collector.add(prediction, label=image.label, patient=image.patient)
            self.errors.see(prediction, label=image.label, file=image.file, path=image.path)
            shown.show(number + len(self.refused) - before)

    def _decoded(self, pool: DecoderPool) -> Iterator[tuple[LabelledImage, NDArray[np.uint8]]]:
        outcomes = pool.prepare_all(image.path for image in self._images)
        for image, outcome in zip(self._images, outcomes, strict=True):
            if isinstance(outcome, RefusedError):
                self.refused.append(RefusedImage(image.file, str(outcome)))
            else:
                yield image, outcome.network_input

    def not_counted(self) -> dict[str, Any]:
        files = [asdict(one) for one in self.refused[:LISTED]]
        return {"refused": {"count": len(self.refused), "files": files}}


def described(source: LabelledSource) -> dict[str, Any]:
    """Entries of the JSON: rows left out, and how a CSV was read."""
    left_out = source.left_out
    found: dict[str, Any] = {"left_out": {"count": left_out.total(), "labels": dict(left_out)}}
    if isinstance(source, LabelledTable):
        read = {"encoding": source.table.encoding, "delimiter": source.table.delimiter}
        return found | {"table": read}
    return found


def open_source(
    source: Path,
    *,
    card: Card,
    split: str | None,
    root: Path | None,
    patient_column: str | None,
    as_normal: tuple[str, ...],
) -> LabelledSource:
    if not source.exists():
        raise UsageProblem(f"{source}: no such file or folder")
    if source.is_dir():
        if root or patient_column or as_normal:
            raise UsageProblem("--root, --patient-column and --as-normal belong to a CSV")
        return open_split(source, split=split, config=card.raw.get("config", {}))
    if not source.is_file():  # a pipe, which cannot be read twice
        raise UsageProblem(f"{source}: neither a file nor a folder")
    if split:
        raise UsageProblem("--split belongs to a folder")
    return LabelledTable(source, root=root, patient_column=patient_column, as_normal=as_normal)
