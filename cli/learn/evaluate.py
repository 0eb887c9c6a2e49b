"""`overread evaluate`: measure a model version on labelled images."""

import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import tee
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
from pipeline.training.labelled import (
    DatasetError,
    LabelledImage,
    LabelledSource,
    LabelledTable,
    RefusedImage,
    open_split,
)
from pipeline.types import OperatingPoint
from worker.decoders import open_decoders

LISTED = 1000  # refused files that are named; all are counted


@click.command()
@click.argument("source", metavar="DIR|CSV", type=GivenPath())
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
    source: Path,
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
    patients are read from the file names. Metrics have 95 % bootstrap intervals over patients.

    Exit code 0: every image was read; 1: some were refused.
    """
    settings = read_settings()
    try:
        predictor = Predictor.open(version or BASELINE, operating_point=operating_point)
        reading = Reading(
            open_source(
                source,
                card=predictor.card,
                split=split,
                root=root,
                patient_column=patient_column,
                as_normal=as_normal,
            )
        )
        total = sum(1 for _ in reading.source)
    except DatasetError as error:
        raise UsageProblem(str(error)) from None
    name = reading.source.name
    if not total:
        raise UsageProblem(f"{name}: no labelled images")
    if report:
        make_folder(report)  # before the work, not after it
    with open_decoders(settings) as pool, progress("Evaluating", total=total) as shown:
        reading.read(pool, predictor, shown)
    scores = reading.collector.scores()
    if not len(scores):
        first = reading.refused[0]
        raise Failed(f"{name}: no image could be read; {first.file}: {first.reason}")
    found = evaluate_scores(scores, card=predictor.card) | reading.not_counted()
    if report:
        with one_line_errors(report):
            path = write_report(
                report,
                found,
                scores,
                card=predictor.card,
                name=name,
                notes=reading.source.notes,
                errors=reading.errors,
                command=shlex.join(["overread", *sys.argv[1:]]),
            )
        click.echo(f"Report: {path}", err=True)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        print_evaluation(found, source=reading.source)
    sys.exit(1 if reading.refusals else 0)


class Reading:
    """What is kept of the images read: scores, the worst errors, and what was refused."""

    def __init__(self, source: LabelledSource) -> None:
        self.source = source
        self.collector = ScoreCollector()
        self.errors = WorstErrors()
        self.refused: list[RefusedImage] = []
        self.refusals = 0

    def read(self, pool: DecoderPool, predictor: Predictor, shown: Progress) -> None:
        predictions = predictor.predict_each(self._decoded(pool))
        for number, (image, prediction) in enumerate(predictions, start=1):
            self.collector.add(prediction, label=image.label, patient=image.patient)
            self.errors.see(prediction, label=image.label, file=image.file, path=image.path)
            shown.show(number + self.refusals)

    def _decoded(self, pool: DecoderPool) -> Iterator[tuple[LabelledImage, NDArray[np.uint8]]]:
        images, same = tee(self._images())
        for outcome in pool.prepare_all(image.path for image in same):
            image = next(images)
            if isinstance(outcome, RefusedError):
                self._refuse(RefusedImage(image.file, str(outcome)))
            else:
                yield image, outcome.network_input

    def _images(self) -> Iterator[LabelledImage]:
        for image in self.source:
            if isinstance(image, RefusedImage):
                self._refuse(image)
            else:
                yield image

    def _refuse(self, refused: RefusedImage) -> None:
        self.refusals += 1
        if len(self.refused) < LISTED:
            self.refused.append(refused)

    def not_counted(self) -> dict[str, Any]:
        left_out = self.source.left_out
        return {
            "refused": {"count": self.refusals, "files": [asdict(one) for one in self.refused]},
            "left_out": {"count": left_out.total(), "labels": dict(left_out)},
        }


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
