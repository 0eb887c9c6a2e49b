from dataclasses import replace

import numpy as np
import pytest

from pipeline.evaluation.versions.agreement import agreement
from pipeline.evaluation.versions.compare import Answers
from tests.support.imaging.scores import card_at, make_scores

LABELS = [1, 1, 0, 0]
OURS = Answers(make_scores(LABELS, [0.9, 0.8, 0.2, 0.1]), card_at(0.5))


def test_agreement_by_hand() -> None:
    """One of four has another finding: observed 3/4, by chance 1/2."""
    theirs = Answers(make_scores(LABELS, [0.9, 0.4, 0.2, 0.1]), card_at(0.5))
    found = agreement(OURS, theirs, draws=50)
    assert found["same_finding"]["value"] == 0.75
    assert found["kappa"]["value"] == pytest.approx((0.75 - 0.5) / 0.5)
    assert found["probability_difference"]["value"] == pytest.approx(0.1)
    assert found["largest_difference"] == pytest.approx(0.4)
    assert found["differences"]["sensitivity"]["value"] == 0.5


def test_no_finding_is_a_finding_of_its_own() -> None:
    strange = replace(OURS.scores, unfamiliarities=np.array([0.9, 0.1, 0.1, 0.1]))
    found = agreement(OURS, replace(OURS, scores=strange), draws=50)
    assert found["same_finding"]["value"] == 0.75
    both = replace(OURS, scores=strange)
    assert agreement(both, both, draws=50)["kappa"]["value"] == 1


def test_agreement_of_different_images_is_refused() -> None:
    with pytest.raises(ValueError, match="two different sets"):
        agreement(OURS, replace(OURS, scores=make_scores([0, 1, 0, 1], [0.1] * 4)))
