"""Versions that read children and adults apart; the shipped one reads them alike."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pipeline.inference.predictor import Predictor, probability_of
from pipeline.inference.version_folder import BASELINE, Card, load_card
from pipeline.types import Inference, Population
from tests.support.data.versions import APART
from tests.support.imaging.networks import phantom_inputs


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return replace(Predictor.open(), card=Card.from_json({**load_card(BASELINE).raw, **APART}))


def test_each_population_has_its_own_calibration(predictor: Predictor) -> None:
    inputs = phantom_inputs(count=2)[:1].repeat(3, axis=0)
    child, adult, unknown = predictor.predict(inputs, populations=["children", "adults", None])
    logits = np.array([child.logit])
    assert child.probability == probability_of(logits, temperature=1.1)[0]
    assert adult.probability == probability_of(logits, temperature=2.0, offset=-8.0)[0]
    assert (child.threshold, adult.threshold) == (0.54, 0.7)
    assert (child.temperature, adult.temperature) == (1.1, 2.0)
    assert (child.population, adult.population) == ("children", "adults")
    assert adult.finding == ("pneumonia" if adult.probability >= 0.7 else "normal")
    assert (unknown.probability, unknown.population) == (child.probability, "children")
    assert "no age is stated: read as a child's" in unknown.warnings
    assert not any("no age" in warning for one in (child, adult) for warning in one.warnings)


def test_the_head_is_asked_where_no_age_is_stated(predictor: Predictor) -> None:
    def head(inference: Inference) -> Sequence[Population]:
        return ["adults"] * len(inference.logits)

    with_head = replace(predictor, population_head=head)
    inputs = phantom_inputs(count=2)
    stated, told = with_head.predict(inputs, populations=["children", None])
    assert (stated.population, told.population) == ("children", "adults")
    assert "no age is stated: read as an adult's" in told.warnings


def test_batches_keep_each_images_population(predictor: Predictor) -> None:
    ages: dict[str, Population] = {"a": "children", "b": "adults"}
    items = zip(ages, phantom_inputs(count=2), strict=True)
    found = predictor.predict_each(items, population_of=ages.__getitem__)
    assert {key: prediction.population for key, prediction in found} == ages


def test_sensitive_operating_point_of_a_population(predictor: Predictor) -> None:
    sensitive = replace(predictor, card=predictor.card.at("sensitive"))
    (adult,) = sensitive.predict(phantom_inputs(count=1), populations=["adults"])
    assert (adult.threshold, adult.operating_point) == (0.4, "sensitive")


def test_version_that_reads_all_alike_says_no_population() -> None:
    shipped = Predictor.open()
    inputs = phantom_inputs(count=1).repeat(2, axis=0)
    adult, unknown = shipped.predict(inputs, populations=["adults", None])
    assert adult.population is None
    assert adult.probability == unknown.probability
    assert adult.warnings == unknown.warnings
    assert adult.threshold == shipped.card.threshold
