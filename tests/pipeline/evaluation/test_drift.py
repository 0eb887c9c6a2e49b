import numpy as np
import pytest

from pipeline.evaluation.drift import MIN_EVIDENCE, Window, compare_windows, describe_drift


def a_window(
    random: np.random.Generator, patients: int, *, shift: float = 0.0, images: int = 1
) -> Window:
    """shift: of the logits. images: of each patient, all much alike."""
    logits = np.repeat(random.normal(shift, 2, patients), images)
    logits += random.normal(0, 0.3, len(logits))
    unfamiliarities = np.repeat(random.beta(2, 9, patients), images)
    return Window(
        probabilities=1 / (1 + np.exp(-logits)),
        unfamiliarities=unfamiliarities,
        is_unanswered=unfamiliarities > 0.4,
        patients=list(np.repeat(np.arange(patients), images)),
    )


@pytest.mark.parametrize(
    ("recent", "reference", "images", "nights"),
    [(100, 100, 1, 150), (150, 900, 1, 150), (110, 600, 4, 150), (1000, 5000, 1, 20)],
)
def test_no_drift_reported_for_same_distribution(
    recent: int, reference: int, images: int, nights: int
) -> None:
    """If 3 of 1,000 nights report drift by chance, 4 of 150 do for one seed in 500."""
    random = np.random.default_rng(11)
    degrees = [
        compare_windows(
            a_window(random, recent, images=images), a_window(random, reference, images=images)
        )["degree"]
        for _ in range(nights)
    ]
    assert nights - degrees.count("none") <= 3


def test_shift_is_reported_with_its_degree() -> None:
    random = np.random.default_rng(3)
    reference = a_window(random, 3000)
    some = compare_windows(a_window(random, 800, shift=0.8), reference)
    much = compare_windows(a_window(random, 800, shift=2.0), reference)
    assert (some["probability"]["degree"], some["unfamiliarity"]["degree"]) == ("some", "none")
    assert (some["degree"], much["degree"]) == ("some", "much")
    assert much["probability"]["recent_median"] > much["probability"]["reference_median"]


def test_more_images_without_a_finding_are_drift() -> None:
    random = np.random.default_rng(5)
    recent, reference = a_window(random, 400), a_window(random, 400)
    unanswered = Window(
        recent.probabilities, recent.unfamiliarities, random.random(400) < 0.3, recent.patients
    )
    found = compare_windows(unanswered, reference)
    assert (found["degree"], found["unanswered"]["degree"]) == ("some", "some")
    words = describe_drift(found, unanswered, reference, days=7, days_before=90)
    assert "without a finding: " in words


def test_images_of_one_patient_count_once_as_evidence() -> None:
    random = np.random.default_rng(5)
    assert a_window(random, 40, images=5).evidence == pytest.approx(40)
    assert a_window(random, 200).evidence == 200


def test_too_few_images_give_no_drift() -> None:
    random = np.random.default_rng(5)
    few, many = a_window(random, MIN_EVIDENCE - 1), a_window(random, 500)
    assert compare_windows(a_window(random, MIN_EVIDENCE - 1, images=9), many) is None
    assert compare_windows(few, many) is None
    assert compare_windows(many, few) is None
    assert describe_drift(None, few, many, days=7, days_before=90) == (
        "Not enough images to measure drift: 99 images of the last 7 days, 500 images of the 90 "
        "days before; at least 100 patients are needed in both periods."
    )


def test_identical_scores_give_no_drift() -> None:
    same = Window(np.full(200, 0.5), np.zeros(200), np.zeros(200, np.bool_), range(200))
    found = compare_windows(same, same)
    assert found["degree"] == "none"
    assert found["probability"]["index"] == 0
