"""`overread import-dataset`"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from cli.errors import UsageProblem, one_line_errors
from cli.params import GivenPath
from cli.progress import stages
from cli.settings import read_settings
from models.context import AppContext, open_context
from models.learning.datasets import NewImage
from models.learning.snapshots import LEARNABLE
from models.operations.upgrade import upgrade
from models.people.users import ADMIN, find_user
from models.tables.learning import LabelValue
from pipeline.evaluation.leakage import leak_report
from pipeline.text import plural, readable
from pipeline.training.labelled.dataset import LabelledDataset, open_dataset
from pipeline.training.labelled.image import DatasetError
from pipeline.types import Split
from worker.datasets.import_dataset import DatasetImport, ImportEvents, check_name
from worker.datasets.report import ImportReport, count_patients

STAGES = {"list": "Listing", "read": "Reading", "leaks": "Comparing the splits"}


@click.command("import-dataset")
@click.argument("source", metavar="DIR|CSV", type=GivenPath())
@click.option("--name", help="Name of the data set; default: the folder's, or the CSV's.")
def import_dataset(source: Path, name: str | None) -> None:
    """Import labelled images, for training and for comparing networks.

    DIR holds NORMAL/ and PNEUMONIA/, or train/, val/ and test/ that hold them. Its own splits are
    kept; what it lacks is taken from train by patients. A CSV has the columns file and label, and
    optionally patient and split (train, val, test). Leaks between the splits are reported. Copies
    count once; images with contradictory labels are left out. The same command again adds what is
    new.

    Exit code 0: every file was read; 1: some were refused.
    """
    settings = read_settings()
    with one_line_errors(settings.data_dir, outcome="run the same command again to continue"):
        try:
            dataset = open_dataset(source)
            place = source.resolve()
            name = check_name(name or (place.stem if place.is_file() else place.name))
            upgrade(settings)
            with closing(open_context(settings)) as context:
                report = _import(context, dataset, name)
        except DatasetError as error:
            raise UsageProblem(str(error)) from None
    for line in describe_import(name, report, min_patients=settings.gate_min_patients):
        click.echo(readable(line))
    sys.exit(1 if report.refused else 0)


def _import(context: AppContext, dataset: LabelledDataset, name: str) -> ImportReport:
    with context.sessions() as session:
        user = find_user(session, ADMIN)
    assert user is not None, "upgrade() adds it"
    with stages() as show:

        def progress(stage: str, done: int, total: int) -> None:
            if stage == "leaks" and not done and not sys.stderr.isatty():
                click.echo(STAGES[stage], err=True)  # it has no steps in between
            show(STAGES[stage], done, total)

        events = ImportEvents(
            progress=progress,
            refused=lambda one: click.echo(readable(f"{one.file}: {one.reason}"), err=True),
        )
        return DatasetImport(context, dataset, name, events).run(user.id)


def describe_import(name: str, report: ImportReport, *, min_patients: int) -> Iterator[str]:
    """Yield the report's lines. min_patients: of each label in a test split, for the gate."""
    yield _headline(name, report)
    for split in Split:
        if images := [image for image in report.images if image.split == split]:
            yield f"  {split.value}: {_describe(images)}"
    yield from report.notes
    yield from _warn_of_few_patients(report.images, min_patients)
    if report.images:
        yield from _describe_leaks(leak_report(report.leaks))
    yield from _describe_ignored(report)
    if report.refused:
        yield f"{plural(len(report.refused), 'file')} could not be read; see above."


def _headline(name: str, report: ImportReport) -> str:
    images, added = report.images, report.added
    if added is None:
        return f"{name}: nothing to import."
    if not added.images and not added.labels:
        return f"{name}: nothing new; all {plural(len(images), 'image')} were imported before."
    if added.is_new_set:
        return f"{name}: {_describe(images)}, imported."
    changed = added.labels - added.images
    labels = f" and {plural(changed, 'changed label')}" if changed > 0 else ""
    return f"{name}: {plural(added.images, 'new image')}{labels}; now {_describe(images)}."


def _warn_of_few_patients(images: Sequence[NewImage], min_patients: int) -> Iterator[str]:
    """Every data set has a say in every night."""
    test = [image for image in images if image.split == Split.TEST]
    counts = {
        label.value: count_patients([image for image in test if image.value == label])
        for label in LEARNABLE
    }
    few = {label: count for label, count in counts.items() if count < min_patients}
    if test and few:
        found = " and ".join(f"{count} with {label}" for label, count in few.items())
        yield (
            f"The test split has too few patients for the promotion gate: {found} images; "
            f"{min_patients} of each are needed. While this data set is imported, no candidate "
            "will be promoted."
        )


def _describe_leaks(report: dict[str, Any]) -> Iterator[str]:
    if not report["images"]:
        yield "Leaks between the splits: none found."
        return
    count = plural(report["images"], "image")
    yield f"Leaks between the splits: {count} will be left out of snapshots on the training side."
    yield from (f"  {sentence}" for sentence in report["words"])


def _describe_ignored(report: ImportReport) -> Iterator[str]:
    yield from report.contents.notes()
    if report.in_several_splits:
        yield (
            f"{plural(report.in_several_splits, 'image')} had copies in several splits; "
            "test takes precedence over validation, validation over train."
        )
    for other, number in report.elsewhere.items():
        yield f"{plural(number, 'image')} already imported with the data set {other} stay there."
    if report.moved:
        yield (
            f"{plural(report.moved, 'image')} moved to another split since the import; "
            "the split of the import is kept."
        )


def _describe(images: Sequence[NewImage]) -> str:
    labels = Counter(image.value for image in images)
    return (
        f"{plural(len(images), 'image')} of {plural(count_patients(images), 'patient')} "
        f"({labels[LabelValue.PNEUMONIA]:,} pneumonia, {labels[LabelValue.NORMAL]:,} normal)"
    )
