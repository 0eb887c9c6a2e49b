"""Items become results, in order: decoded ahead, predicted in batches, equal bytes only once.

Sources opened: every file, and every file of every zip, with its hash or what is wrong.
"""

import shutil
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile

from cli.output import sha256_of
from cli.walk import Source
from pipeline.errors import Reason, RefusalCode, RefusedError
from pipeline.files.archive import ArchiveLimits, Member, is_archive, members
from pipeline.inference.predictor import Predictor, batched
from pipeline.prepare.pool import DecoderPool
from pipeline.types import Prediction, Prepared


@dataclass(frozen=True)
class Item:
    """One file to be read. path: None where there is nothing to read, and `problem` says why.

    sha256: empty where the content was not read to its end. problem: a clause.
    status: what `problem` makes of the file, "rejected" or "failed".
    is_copy: unpacked for us; whoever has read it deletes it.
    """

    file: str
    sha256: str
    path: Path | None
    problem: Reason | None = None
    status: str = "rejected"
    is_copy: bool = False


def open_items(
    sources: Iterable[Source], *, scratch: Path, limits: ArchiveLimits
) -> Iterator[Item]:
    """Lazily: a zip's files are unpacked into `scratch` one by one, as they are asked for."""
    for source in sources:
        try:
            if _is_archive(source.path):
                yield from _unpack(source, scratch=scratch, limits=limits)
            else:
                yield Item(source.file, sha256_of(source.path), source.path)
        except OSError as error:
            problem = Reason(RefusalCode.OTHER, f"cannot be read: {error.strerror}")
            yield Item(source.file, "", None, problem, status="failed")


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return is_archive(file.read(8))


def _unpack(source: Source, *, scratch: Path, limits: ArchiveLimits) -> Iterator[Item]:
    """Named as in the portal: the zip is a folder like any other."""
    try:
        for member in members(source.path, limits=limits):
            yield _unpack_member(member, f"{source.file}/{member.name}", scratch)
    except RefusedError as error:
        yield Item(source.file, "", None, error.reason)


def _unpack_member(member: Member, file: str, scratch: Path) -> Item:
    with NamedTemporaryFile(dir=scratch, delete=False) as copy:
        path = Path(copy.name)
        try:
            with member.open() as stream:
                shutil.copyfileobj(stream, copy)
        except RefusedError as error:
            path.unlink()
            return Item(file, "", None, error.reason)
    return Item(file, sha256_of(path), path, is_copy=True)


REMEMBERED = 100_000  # contents whose answer is kept for their duplicates; about 100 MB


@dataclass(frozen=True)
class Answer:
    """The fields of a JSON line, in their order; new ones come last."""

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


SeePrediction = Callable[[Item, Prediction], None]


class Reader:
    """see: called once for each content that was predicted, before its file is deleted."""

    def __init__(self, pool: DecoderPool, predictor: Predictor, *, see: SeePrediction) -> None:
        self._pool = pool
        self._predictor = predictor
        self._see = see
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._in_work: set[str] = set()
        self._waiting: deque[Item] = deque()  # handed out, not yet answered, in order
        self._wanted: Counter[str] = Counter()  # their contents
        self._fresh: deque[Item] = deque()  # those of them that are being decoded

    def read(self, items: Iterable[Item]) -> Iterator[Answer]:
        for batch in batched(self._pool.prepare_all(self._to_decode(items))):
            self._answer(batch)
            yield from self._answered()
        yield from self._answered()

    def _to_decode(self, items: Iterable[Item]) -> Iterator[Path]:
        for item in items:
            self._waiting.append(item)
            if item.path is None:
                continue
            self._wanted[item.sha256] += 1
            if item.sha256 in self._answers or item.sha256 in self._in_work:
                _delete_copy(item)
                continue
            self._in_work.add(item.sha256)
            self._fresh.append(item)
            yield item.path

    def _answer(self, outcomes: Iterable[Prepared | RefusedError]) -> None:
        prepared_items = []
        for outcome in outcomes:
            item = self._fresh.popleft()
            if isinstance(outcome, RefusedError):
                self._remember(item, _refused(item, outcome))
            else:
                prepared_items.append(((item, outcome), outcome.network_input))
        for (item, prepared), prediction in self._predictor.predict_each(prepared_items):
            self._see(item, prediction)
            self._remember(item, _predicted(item, prepared, prediction))

    def _remember(self, item: Item, answer: Answer) -> None:
        self._answers[item.sha256] = answer
        self._in_work.discard(item.sha256)
        _delete_copy(item)

    def _answered(self) -> Iterator[Answer]:
        """Those at the head of the line whose answer is known."""
        while self._waiting:
            item = self._waiting[0]
            if item.path is None:
                yield _problem(item)
            elif item.sha256 in self._answers:
                yield _renamed(self._answers[item.sha256], item)
                self._release(item.sha256)
            else:
                return
            self._waiting.popleft()

    def _release(self, sha256: str) -> None:
        self._wanted[sha256] -= 1
        if not self._wanted[sha256]:
            del self._wanted[sha256]
        oldest = next(iter(self._answers))
        if len(self._answers) > REMEMBERED and oldest not in self._wanted:
            del self._answers[oldest]


def _predicted(item: Item, prepared: Prepared, prediction: Prediction) -> Answer:
    return Answer(
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
    )


def _refused(item: Item, error: RefusedError) -> Answer:
    reason = sentence(item.file, error.sentence)
    return Answer(item.file, item.sha256, "rejected", reason, reason_code=error.code)


def _problem(item: Item) -> Answer:
    assert item.problem is not None, "there is nothing to read"
    reason = sentence(item.file, item.problem.clause)
    return Answer(item.file, "", item.status, reason, reason_code=item.problem.code)


def _renamed(answer: Answer, item: Item) -> Answer:
    """A duplicate has another name, also in its reason."""
    if answer.file == item.file:
        return answer
    reason = answer.reason
    if answer.status == "rejected" and reason:
        clause = reason.removeprefix(sentence(answer.file, ""))
        reason = sentence(item.file, clause)
    return replace(answer, file=item.file, reason=reason)


def sentence(file: str, clause: str) -> str:
    return f"{PurePosixPath(file).name}: {clause}"


def _delete_copy(item: Item) -> None:
    if item.is_copy and item.path is not None:
        item.path.unlink(missing_ok=True)
