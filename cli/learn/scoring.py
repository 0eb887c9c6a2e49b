"""Labelled images become predictions, in order, by the decoders and the network of `predict`."""

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from cli.learn.labelled_images import Labelled, Refused
from pipeline.decode.pool import DecoderPool
from pipeline.decode.prepare import Prepared
from pipeline.errors import RefusedError
from pipeline.inference.predictor import Predictor
from pipeline.types import Prediction

BATCH = 32

Scored = tuple[Labelled, Prediction]


def score_images(
    images: Iterable[Labelled | Refused], *, pool: DecoderPool, predictor: Predictor
) -> Iterator[Scored | Refused]:
    """Each once, decoded a little ahead, predicted in batches; what cannot be read comes first."""
    batch: list[tuple[Labelled, Prepared]] = []
    for outcome in _prepared(images, pool):
        if isinstance(outcome, Refused):
            yield outcome
            continue
        batch.append(outcome)
        if len(batch) == BATCH:
            yield from _predict(batch, predictor)
            batch = []
    if batch:
        yield from _predict(batch, predictor)


def _prepared(
    images: Iterable[Labelled | Refused], pool: DecoderPool
) -> Iterator[tuple[Labelled, Prepared] | Refused]:
    in_work: deque[Labelled] = deque()
    refused: deque[Refused] = deque()

    def paths() -> Iterator[Path]:
        for image in images:
            if isinstance(image, Refused):
                refused.append(image)
            else:
                in_work.append(image)
                yield image.path

    for outcome in pool.prepare_all(paths()):
        image = in_work.popleft()
        if isinstance(outcome, RefusedError):
            refused.append(Refused(image.file, str(outcome)))
        else:
            yield image, outcome
        while refused:
            yield refused.popleft()
    yield from refused


def _predict(batch: list[tuple[Labelled, Prepared]], predictor: Predictor) -> Iterator[Scored]:
    inputs = np.stack([prepared.network_input for _, prepared in batch])
    predictions = predictor.predict(inputs)
    yield from zip((image for image, _ in batch), predictions, strict=True)
