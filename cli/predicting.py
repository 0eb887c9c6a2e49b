"""`overread predict`, put together: files -> decoders -> network -> lines, table, pictures."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from cli.decoders import open_decoders
from cli.fatal import Failed, UsageProblem
from cli.items import open_items
from cli.overlays import OverlayFolder
from cli.processes import can_train
from cli.progress import Progress, progress
from cli.reading import Answer, Reader
from cli.sources import Walk
from cli.tables import ResultTable
from models.config.settings import Settings
from pipeline.errors import NetworkFolderError
from pipeline.files.archive import ArchiveLimits
from pipeline.inference.engine import EngineKind
from pipeline.inference.predictor import Predictor
from pipeline.types import OperatingPoint


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
    if engine == "tensorflow" and not can_train():
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
