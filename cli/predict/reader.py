"""Predicts files in order: decoded ahead, predicted in batches, equal bytes only once."""

import shutil
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile

from cli.walk import Source
from pipeline.checksum import sha256_of
from pipeline.errors import RefusalCode, RefusedError
from pipeline.files.archive import ArchiveLimits, Member, is_archive, members
from pipeline.inference.predictor import Predictor, batched
from pipeline.prepare.pool import DecoderPool
from pipeline.prevalence import probability_at
from pipeline.subject import subject_of_tags
from pipeline.types import Prediction, Prepared

LOOKED_AT = 8  # more files keep all decoders busy anyway
REMEMBERED = 100_000  # results kept for duplicates; about 100 MB


@dataclass(frozen=True)
class Item:
    """A file to predict. is_copy: it was unpacked, and is deleted when it was decoded."""

    file: str
    sha256: str
    path: Path
    is_copy: bool = False

    def delete_copy(self) -> None:
        if self.is_copy:
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Result:
    """The fields of a JSON line, in their order; new ones are added at the end.

    sha256: empty if the file could not be read to its end.
    """

    file: str
    sha256: str
    status: str
    reason: str | None
    finding: str | None = None
    probability: float | None = None
    threshold: float | None = None
    unfamiliarity: float | None = None
    warnings: tuple[str, ...] = ()
    model_version: str | None = None
    operating_point: str | None = None
    temperature: float | None = None
    heatmap_peak: float | None = None
    heatmap_concentration: float | None = None
    heatmap_inside_body: float | None = None
    reason_code: str | None = None
    range_rule: str | None = None
    pixel_aspect: float | None = None
    orientation: int | None = None
    population: str | None = None
    prevalence: float | None = None
    adjusted_probability: float | None = None


def holds_archive(sources: Iterable[Source]) -> bool:
    """Whether one of the first few is a zip, which may hold many files."""
    return any(_is_zip(source.path) for source in islice(sources, LOOKED_AT))


def _is_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return is_archive(file.read(8))
    except OSError:
        return False  # reported when its turn comes


def open_items(
    sources: Iterable[Source], *, scratch: Path, limits: ArchiveLimits
) -> Iterator[Item | Result]:
    """Yield every file and every member of a zip archive; a Result if it cannot be opened.

    Members are unpacked into `scratch` one by one, as they are requested, and named as in the
    portal, with the archive as a folder.
    """
    for source in sources:
        try:
            with source.path.open("rb") as file:
                is_zip = is_archive(file.read(8))
            if not is_zip:
                yield Item(source.file, sha256_of(source.path), source.path)
                continue
            for member in members(source.path, limits=limits):
                yield _unpack(member, f"{source.file}/{member.name}", scratch)
        except RefusedError as error:
            yield _rejected(source.file, error)
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
            yield Result(source.file, "", "failed", reason, reason_code=RefusalCode.OTHER)


def _unpack(member: Member, file: str, scratch: Path) -> Item | Result:
    with NamedTemporaryFile(dir=scratch, delete=False) as copy:
        path = Path(copy.name)
        try:
            with member.open() as stream:
                shutil.copyfileobj(stream, copy)
        except RefusedError as error:
            path.unlink()
            return _rejected(file, error)
    return Item(file, sha256_of(path), path, is_copy=True)


@dataclass
class _Slot:
    """The result of one content, once it is known."""

    result: Result | None = None


class Reader:
    """on_prediction: called once for each predicted content, before its copy is deleted."""

    def __init__(
        self,
        pool: DecoderPool,
        predictor: Predictor,
        *,
        on_prediction: Callable[[Item, Prediction], None] | None = None,
        prevalence: float | None = None,
    ) -> None:
        self._prevalence = prevalence
        self._pool = pool
        self._predictor = predictor
        self._on_prediction = on_prediction
        self._slots: OrderedDict[str, _Slot] = OrderedDict()  # by sha256
        self._waiting: deque[tuple[str, _Slot]] = deque()  # file names in order, not yet yielded
        self._decoding: deque[tuple[Item, _Slot]] = deque()

    def read(self, items: Iterable[Item | Result]) -> Iterator[Result]:
        for batch in batched(self._pool.prepare_all(self._paths(items))):
            self._predict(batch)
            yield from self._finished()
        yield from self._finished()

    def _paths(self, items: Iterable[Item | Result]) -> Iterator[Path]:
        for item in items:
            if isinstance(item, Result):
                self._waiting.append((item.file, _Slot(item)))
            elif slot := self._slots.get(item.sha256):
                self._waiting.append((item.file, slot))
                item.delete_copy()
            else:
                slot = self._slots[item.sha256] = _Slot()
                self._waiting.append((item.file, slot))
                self._decoding.append((item, slot))
                if len(self._slots) > REMEMBERED:
                    self._slots.popitem(last=False)
                yield item.path

    def _predict(self, outcomes: Iterable[Prepared | RefusedError]) -> None:
        inputs = []
        for outcome in outcomes:
            item, slot = self._decoding.popleft()
            if isinstance(outcome, RefusedError):
                slot.result = _rejected(item.file, outcome, sha256=item.sha256)
                item.delete_copy()
            else:
                inputs.append(((item, slot, outcome), outcome.network_input))
        predictions = self._predictor.predict_each(
            inputs, population_of=lambda key: subject_of_tags(key[2].tags).population
        )
        for (item, slot, prepared), prediction in predictions:
            if self._on_prediction:
                self._on_prediction(item, prediction)
            slot.result = _at(self._prevalence, _predicted(item, prepared, prediction))
            item.delete_copy()

    def _finished(self) -> Iterator[Result]:
        while self._waiting and (result := self._waiting[0][1].result):
            file, _ = self._waiting.popleft()
            yield _named(result, file)


def _predicted(item: Item, prepared: Prepared, prediction: Prediction) -> Result:
    return Result(
        file=item.file,
        sha256=item.sha256,
        status="predicted",
        reason=prediction.reason,
        finding=prediction.finding,
        probability=prediction.probability,
        threshold=prediction.threshold,
        unfamiliarity=prediction.unfamiliarity,
        warnings=(*prepared.warnings, *prediction.warnings),
        model_version=prediction.model_version,
        operating_point=prediction.operating_point,
        temperature=prediction.temperature,
        heatmap_peak=prediction.heatmap_trust.peak,
        heatmap_concentration=prediction.heatmap_trust.concentration,
        heatmap_inside_body=prediction.heatmap_trust.inside_body,
        range_rule=prepared.range_rule,
        pixel_aspect=prepared.pixel_aspect,
        orientation=prediction.orientation,
        population=prediction.population,
    )


def _at(prevalence: float | None, result: Result) -> Result:
    if prevalence is None or result.probability is None:
        return result
    adjusted = probability_at(result.probability, prevalence=prevalence)
    return replace(result, prevalence=prevalence, adjusted_probability=adjusted)


def _rejected(file: str, error: RefusedError, *, sha256: str = "") -> Result:
    return Result(file, sha256, "rejected", str(error), reason_code=error.reason.code)


def _named(result: Result, file: str) -> Result:
    """Equal bytes may have several names; the reason of a refusal begins with the file's."""
    reason = result.reason
    if result.status != "predicted":
        reason = f"{PurePosixPath(file).name}: {reason}"
    return replace(result, file=file, reason=reason)
