"""`overread evaluate`: measure a model version on labelled images."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any, get_args

import click

from cli.errors import Failed, UsageProblem, one_line_errors
from cli.learn.evaluation_table import print_evaluation
from cli.learn.reading import Reading
from cli.output import make_folder
from cli.params import GivenPath
from cli.progress import progress
from cli.settings import read_settings
from pipeline.evaluation.decision_curve import decision_curve
from pipeline.evaluation.evaluate import evaluate as evaluate_scores
from pipeline.evaluation.heatmaps.boxes import BoxesError, read_boxes
from pipeline.evaluation.subgroups import evaluate_subgroups, groups_of
from pipeline.evaluation.versions.agreement import agreement
from pipeline.evaluation.versions.compare import Answers
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import BASELINE, Card
from pipeline.reports.evaluation_report import write_report
from pipeline.training.labelled.contents import read_contents
from pipeline.training.labelled.dataset import LabelledSource, open_split, open_table
from pipeline.training.labelled.image import DatasetError
from pipeline.training.labelled.manifest import Manifest, is_manifest, read_manifest
from pipeline.training.labelled.table import LabelledTable
from pipeline.types import OperatingPoint, Population
from worker.decoders import open_decoders


@click.command()
@click.argument("path", metavar="DIR|CSV|TOML", type=GivenPath())
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
@click.option(
    "--boxes",
    metavar="CSV",
    type=GivenPath(),
    help="Also compare heatmaps with the boxes of these images (file, x, y, w, h, image_w, "
    "image_h; or the RSNA's file, x, y, width, height); images without a box don't count there.",
)
@click.option("--patient-column", metavar="NAME", help="Column of the CSV that names the patient.")
@click.option(
    "--as-normal",
    metavar="LABEL",
    multiple=True,
    help="Count this label of the CSV as normal, too; may be repeated.",
)
@click.option(
    "--population",
    type=click.Choice(get_args(Population)),
    help="Of images of which neither the CSV nor their tags state a population or an age.",
)
@click.option(
    "--compare-with",
    metavar="FOLDER",
    type=GivenPath(),
    help="Another version, or another precision of it, to state the agreement with.",
)
@click.option(
    "--prevalence",
    metavar="SHARE",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Of pneumonia, for the decision curve.  [default: OVERREAD_PREVALENCE, else the images']",
)
def evaluate(
    path: Path,
    as_json: bool,
    report: Path | None,
    operating_point: OperatingPoint,
    split: str | None,
    version: Path | None,
    root: Path | None,
    boxes: Path | None,
    patient_column: str | None,
    as_normal: tuple[str, ...],
    population: Population | None,
    compare_with: Path | None,
    prevalence: float | None,
) -> None:
    """Measure a model version on labelled images.

    DIR holds NORMAL/ and PNEUMONIA/, or splits that hold them. A CSV has the columns file and
    label (normal or pneumonia, 0 or 1; others are left out), and optionally patient, population
    (children or adults), view, sex and age; otherwise patients are read from the file names, and
    the others from DICOM tags. A TOML manifest names the images, as for training. Metrics are also
    given for each population, view, sex and age band. Copies count once; images with contradictory
    labels are left out. Metrics have 95 % bootstrap intervals over patients.

    Exit code 0: every image was read; 1: some were refused.
    """
    settings = read_settings()
    try:
        predictor = Predictor.open(version or BASELINE, operating_point=operating_point)
        other = compare_with and Predictor.open(compare_with, operating_point=operating_point)
        manifest = read_source(path, root=root, patient_column=patient_column, as_normal=as_normal)
        source = open_source(manifest, card=predictor.card, split=split)
        images = list(source)
        boxed = read_boxes(boxes) if boxes else []
    except (DatasetError, BoxesError) as error:
        raise UsageProblem(str(error)) from None
    name = source.name
    if not images:
        raise UsageProblem("; ".join([f"{name}: no labelled images", *source.notes]))
    if report:
        make_folder(report)  # before the work, not after it
    with progress("Listing", total=len(images)) as shown:
        contents = read_contents(images, progress=shown.show)
    reading = Reading(contents, population=population, boxed=boxed)
    with open_decoders(settings) as pool:
        with progress("Evaluating", total=len(contents.blobs)) as shown:
            reading.read(pool, predictor, shown, other=other or None)
        notes = [*source.notes, *contents.notes()]
        scores = reading.collector.scores()
        if not len(scores):
            reasons = [f"{one.file}: {one.reason}" for one in reading.refused[:1]] or notes
            raise Failed(f"{name}: no image could be read; {'; '.join(reasons)}")
        found = evaluate_scores(scores, card=predictor.card) | reading.not_counted()
        found |= {**contents.as_json(), "notes": notes, **described(source)}
        found |= {
            "subgroups": evaluate_subgroups(
                scores, groups_of(reading.subjects), card=predictor.card
            ),
            "decision_curve": decision_curve(scores, prevalence=prevalence or settings.prevalence),
        }
        if other:
            ours = Answers(scores, predictor.card)
            theirs = Answers(reading.compared.scores(), other.card)
            found["agreement"] = agreement(ours, theirs)
        if boxes:
            if not len(reading.heatmaps):
                raise UsageProblem(f"{boxes}: has none of the images that were read")
            found["heatmap_scores"] = reading.heatmaps.scores()
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


def described(source: LabelledSource) -> dict[str, Any]:
    """Entries of the JSON: rows left out, and how a CSV was read."""
    left_out = source.left_out
    found: dict[str, Any] = {"left_out": {"count": left_out.total(), "labels": dict(left_out)}}
    if isinstance(source, LabelledTable):
        read = {"encoding": source.table.encoding, "delimiter": source.table.delimiter}
        return found | {"table": read}
    return found


def read_source(
    path: Path, *, root: Path | None, patient_column: str | None, as_normal: tuple[str, ...]
) -> Manifest:
    """Return a manifest as it is written, or that of a folder or CSV. Raises DatasetError."""
    if not path.exists():
        raise UsageProblem(f"{path}: no such file or folder")
    has_options = root or patient_column or as_normal
    if has_options and (path.is_dir() or is_manifest(path)):
        raise UsageProblem("--root, --patient-column and --as-normal belong to a CSV")
    if is_manifest(path):
        return read_manifest(path)
    return Manifest(images=path, root=root, patient_column=patient_column, as_normal=as_normal)


def open_source(manifest: Manifest, *, card: Card, split: str | None) -> LabelledSource:
    """Raises DatasetError."""
    source = manifest.images
    if source.is_dir():
        config = card.raw.get("config", {})
        return open_split(source, split=split, config=config, subject=manifest.subject)
    if not source.is_file():  # a pipe, which cannot be read twice
        raise UsageProblem(f"{source}: neither a file nor a folder")
    if split:
        raise UsageProblem("--split belongs to a folder")
    return open_table(manifest)
