"""`overread evaluate`: measure a model version on labelled images."""

import json
import shlex
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from cli.errors import Failed, UsageProblem
from cli.learn.evaluation_table import print_evaluation
from cli.params import GivenPath
from cli.progress import Progress, progress
from models.config.settings import Settings
from pipeline.errors import NetworkFolderError, RefusedError
from pipeline.evaluation.evaluate import Evaluation, ScoreCollector, Scores
from pipeline.evaluation.evaluate import evaluate as evaluate_predictions
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import Card
from pipeline.prepare.pool import DecoderPool
from pipeline.reports.evaluation_report import WorstErrors
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
    operating_point: OperatingPoint,
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
    from cli.settings import read_settings
    from pipeline.inference.version_folder import BASELINE

    settings = read_settings()
    predictor = open_version(version or BASELINE, operating_point)
    try:
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
    except DatasetError as error:
        raise UsageProblem(str(error)) from None
    sys.exit(0 if all_read else 1)


LISTED = 1000  # refused files that are named; all are counted


def evaluate_source(
    source: LabelledSource,
    *,
    predictor: Predictor,
    settings: Settings,
    as_json: bool,
    report: Path | None,
    command: str,
) -> bool:
    """True where every image was read."""
    total = sum(1 for _ in source)
    if not total:
        raise UsageProblem(f"{source.name}: there is no labelled image in it")
    if report:
        _make(report)
    reading = Reading()
    with open_decoders(settings) as pool, progress("Evaluating", total=total) as shown:
        reading.read(source, pool=pool, predictor=predictor, shown=shown)
    scores = reading.collector.scores()
    if not len(scores):
        raise Failed(f"{source.name}: none of its images could be read; {reading.first_reason()}")
    found = evaluate_predictions(
        scores, card=predictor.card, operating_point=predictor.operating_point
    )
    if report:
        _write(
            report,
            found,
            scores,
            source=source,
            reading=reading,
            card=predictor.card,
            command=command,
        )
    if as_json:
        click.echo(json.dumps(found.as_json() | _remainder(source, reading), indent=2))
    else:
        print_evaluation(found, source=source, refused=reading.refused, refusals=reading.refusals)
    return not reading.refusals


class Reading:
    """What is kept of the images read: scores, the worst errors, and what was refused."""

    def __init__(self) -> None:
        self.collector = ScoreCollector()
        self.errors = WorstErrors()
        self.refused: list[RefusedImage] = []
        self.refusals = 0

    def read(
        self,
        images: Iterable[LabelledImage | RefusedImage],
        *,
        pool: DecoderPool,
        predictor: Predictor,
        shown: Progress,
    ) -> None:
        for number, (image, prediction) in enumerate(
            predictor.predict_each(self._decoded(images, pool)), start=1
        ):
            self.collector.add(prediction, label=image.label, patient=image.patient)
            self.errors.see(prediction, label=image.label, file=image.file, path=image.path)
            shown.show(number + self.refusals)

    def _decoded(
        self, images: Iterable[LabelledImage | RefusedImage], pool: DecoderPool
    ) -> Iterator[tuple[LabelledImage, NDArray[np.uint8]]]:
        in_work: deque[LabelledImage] = deque()

        def paths() -> Iterator[Path]:
            for image in images:
                if isinstance(image, RefusedImage):
                    self._refuse(image)
                else:
                    in_work.append(image)
                    yield image.path

        for outcome in pool.prepare_all(paths()):
            image = in_work.popleft()
            if isinstance(outcome, RefusedError):
                self._refuse(RefusedImage(image.file, str(outcome)))
            else:
                yield image, outcome.network_input

    def _refuse(self, refused: RefusedImage) -> None:
        self.refusals += 1
        if len(self.refused) < LISTED:
            self.refused.append(refused)

    def first_reason(self) -> str:
        first = self.refused[0]
        return f"{first.file}: {first.reason}"


def open_version(folder: Path, operating_point: OperatingPoint) -> Predictor:
    try:
        return Predictor.open(folder, operating_point=operating_point)
    except NetworkFolderError as error:
        raise Failed(str(error)) from None


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


def _remainder(source: LabelledSource, reading: Reading) -> dict[str, Any]:
    return {
        "refused": {
            "count": reading.refusals,
            "files": [{"file": one.file, "reason": one.reason} for one in reading.refused],
        },
        "left_out": {"count": source.left_out.total(), "labels": dict(source.left_out)},
    }


def _make(folder: Path) -> None:
    """Before the work rather than after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageProblem(f"{folder}: cannot be made: {error.strerror}") from None


def _write(
    folder: Path,
    found: Evaluation,
    scores: Scores,
    *,
    source: LabelledSource,
    reading: Reading,
    card: Card,
    command: str,
) -> None:
    from pipeline.reports.evaluation_report import Source, write_report

    described = Source(
        name=source.name,
        command=command,
        notes=source.notes,
        refused=[(one.file, one.reason) for one in reading.refused],
        refusals=reading.refusals,
        left_out=dict(source.left_out),
    )
    try:
        path = write_report(
            folder, found, scores, card=card, source=described, errors=reading.errors
        )
    except OSError as error:
        raise Failed(f"{folder}: the report cannot be written: {error.strerror}") from None
    click.echo(f"Report: {path}", err=True)
