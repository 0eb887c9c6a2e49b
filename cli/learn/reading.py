"""Labelled images through one or two versions: their scores, the worst errors, what is refused."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from itertools import tee
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cli.progress import Progress
from pipeline.errors import RefusedError
from pipeline.evaluation.evaluate import ScoreCollector
from pipeline.evaluation.heatmaps.boxes import BoxedImage
from pipeline.evaluation.heatmaps.scores import BoxedHeatmaps
from pipeline.inference.predictor import Predictor
from pipeline.prepare.pool import DecoderPool
from pipeline.reports.evaluation_report import WorstErrors
from pipeline.subject import Subject, subject_of_tags
from pipeline.training.labelled.contents import Contents
from pipeline.training.labelled.image import LabelledImage, RefusedImage
from pipeline.types import Population, Prediction

LISTED = 1000  # refused files that are named; all are counted


class Reading:
    """What is kept of the images read.

    population: of images of which neither table nor tags state one. subjects: of those that were
    read, in their order. compared: scores of another version. heatmaps: of the `boxed` images.
    """

    def __init__(
        self,
        contents: Contents,
        *,
        population: Population | None = None,
        boxed: Iterable[BoxedImage] = (),
    ) -> None:
        self._images = [blob.counted for blob in contents.blobs]
        self._default = Subject(population)
        self.collector = ScoreCollector()
        self.compared = ScoreCollector()
        self.errors = WorstErrors()
        self.subjects: list[Subject] = []
        self.refused = list(contents.refused)
        self.heatmaps = BoxedHeatmaps()
        self._boxed = {image.path.resolve(): image for image in boxed}
        self._boxed_inputs: dict[str, NDArray[np.uint8]] = {}  # of those not predicted yet

    def read(
        self,
        pool: DecoderPool,
        predictor: Predictor,
        shown: Progress,
        *,
        other: Predictor | None = None,
    ) -> None:
        """other: the version to compare with."""
        before = len(self.refused)
        decoded, again = tee(self._decoded(pool))
        others = _predict(other, again) if other else None
        for number, (image, prediction) in enumerate(_predict(predictor, decoded), start=1):
            self.collector.add(prediction, label=image.label, patient=image.patient)
            if others:
                self.compared.add(next(others)[1], label=image.label, patient=image.patient)
            self.errors.see(prediction, label=image.label, file=image.file, path=image.path)
            self.subjects.append(image.subject)
            if boxed := self._boxed.get(image.path.resolve()):
                self.heatmaps.add(
                    boxed,
                    prediction.heatmap,
                    network_input=self._boxed_inputs.pop(image.file),
                    patient=image.patient,
                )
            shown.show(number + len(self.refused) - before)

    def _decoded(self, pool: DecoderPool) -> Iterator[tuple[LabelledImage, NDArray[np.uint8]]]:
        outcomes = pool.prepare_all(image.path for image in self._images)
        for image, outcome in zip(self._images, outcomes, strict=True):
            if isinstance(outcome, RefusedError):
                self.refused.append(RefusedImage(image.file, str(outcome)))
            else:
                stated = image.subject.or_else(subject_of_tags(outcome.tags))
                subject = stated.or_else(self._default)
                if image.path.resolve() in self._boxed:
                    self._boxed_inputs[image.file] = outcome.network_input
                yield replace(image, subject=subject), outcome.network_input

    def not_counted(self) -> dict[str, Any]:
        files = [asdict(one) for one in self.refused[:LISTED]]
        return {"refused": {"count": len(self.refused), "files": files}}


def _predict(
    predictor: Predictor, images: Iterator[tuple[LabelledImage, NDArray[np.uint8]]]
) -> Iterator[tuple[LabelledImage, Prediction]]:
    return predictor.predict_each(images, population_of=lambda image: image.subject.population)
