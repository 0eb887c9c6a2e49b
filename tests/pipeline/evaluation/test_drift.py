"""Drift: silent while nothing moves, heard when something does, and honest about few images."""

import numpy as np
import pytest

from pipeline.evaluation.drift import (
    MIN_EVIDENCE,
    SOME,
    Window,
    compare_windows,
    describe_drift,
    stability_index,
)


def a_window(
    random: np.random.Generator, patients: int, *, shift: float = 0.0, films: int = 1
) -> Window:
    """shift: of the logits. films: of each patient, all much alike."""
    logits = np.repeat(random.normal(shift, 2, patients), films)
    logits += random.normal(0, 0.3, len(logits))
    unfamiliarities = np.repeat(random.beta(2, 9, patients), films)
    return Window(
        probabilities=1 / (1 + np.exp(-logits)),
        unfamiliarities=unfamiliarities,
        is_unanswered=unfamiliarities > 0.4,
        patients=list(np.repeat(np.arange(patients), films)),
    )


@pytest.mark.parametrize(
    ("recent", "reference", "films", "nights"),
    [(100, 100, 1, 150), (150, 900, 1, 150), (110, 600, 4, 150), (1000, 5000, 1, 20)],
)
def test_it_does_not_cry_wolf(recent: int, reference: int, films: int, nights: int) -> None:
    """At a chance of three in a thousand, four alarms in 150 nights come once in 500 seeds."""
    random = np.random.default_rng(11)
    degrees = [
        compare_windows(
            a_window(random, recent, films=films), a_window(random, reference, films=films)
        ).degree
        for _ in range(nights)
    ]
    assert nights - degrees.count("none") <= 3


def test_the_plain_index_would() -> None:
    """What the correction is for: of 100 images, chance alone is above a limit of 0.1."""
    random = np.random.default_rng(11)
    plain = [
        stability_index(random.normal(size=100), random.normal(size=100), counts=(100, 100))[0]
        for _ in range(50)
    ]
    assert np.mean(np.array(plain) > SOME) > 0.5


def test_a_shift_is_heard_and_its_size_said() -> None:
    random = np.random.default_rng(3)
    reference = a_window(random, 3000)
    some = compare_windows(a_window(random, 800, shift=0.8), reference)
    much = compare_windows(a_window(random, 800, shift=2.0), reference)
    assert some is not None
    assert much is not None
    assert (some.probability.degree, some.unfamiliarity.degree) == ("some", "none")
    assert (some.degree, much.degree) == ("some", "much")
    assert much.probability.recent_median > much.probability.reference_median


def test_more_images_without_an_answer_are_a_shift_of_their_own() -> None:
    random = np.random.default_rng(5)
    recent, reference = a_window(random, 400), a_window(random, 400)
    silent = Window(
        recent.probabilities, recent.unfamiliarities, random.random(400) < 0.3, recent.patients
    )
    found = compare_windows(silent, reference)
    assert found is not None
    assert (found.degree, found.unanswered.degree) == ("some", "some")
    words = describe_drift(found, silent, reference, days=7, days_before=90)
    assert "got no answer, before" in words


def test_films_of_one_patient_are_one_piece_of_evidence() -> None:
    random = np.random.default_rng(5)
    assert a_window(random, 40, films=5).evidence == pytest.approx(40)
    assert a_window(random, 200).evidence == 200


def test_too_few_images_say_so() -> None:
    random = np.random.default_rng(5)
    few, many = a_window(random, MIN_EVIDENCE - 1), a_window(random, 500)
    assert compare_windows(a_window(random, MIN_EVIDENCE - 1, films=9), many) is None
    assert compare_windows(few, many) is None
    assert compare_windows(many, few) is None
    assert describe_drift(None, few, many, days=7, days_before=90) == (
        "Too few images to tell whether anything has moved: 99 images of the last 7 days, 500 "
        "images of the 90 days before, and it takes those of about 100 different patients in both."
    )


def test_answers_that_are_all_alike_do_not_break_it() -> None:
    same = Window(np.full(200, 0.5), np.zeros(200), np.zeros(200, np.bool_), range(200))
    found = compare_windows(same, same)
    assert found is not None
    assert found.degree == "none"
    assert found.probability.index == 0
