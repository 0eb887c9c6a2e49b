"""The about page for model cards of every format."""

from typing import Any

import pytest

from models.learning.promotion import set_production
from models.tables.intake import ModelVersion
from tests.support.data.versions import a_card
from tests.support.web.pages import words
from tests.support.web.portal import Portal

FIRST_FORMAT = {
    "format": 1,
    "model_version": "old",
    "temperature": 1.669,
    "calibration": "on validation patients",
    "threshold": 0.41,
    "threshold_rule": "the highest that still finds 95%",
    "unfamiliarity_limit": 0.5,
    "metrics": {
        "validation": {
            "images": 803,
            "patients": 436,
            "auroc": 0.9964,
            "auroc_low": 0.9931,
            "auroc_high": 0.9987,
            "accuracy": 0.9489,
            "sensitivity": 0.9377,
            "specificity": 0.984,
        }
    },
}


def interval(value: float | None) -> dict[str, float | None]:
    return {"value": value, "low": value and value - 0.01, "high": value and value + 0.01}


def at_threshold(sensitivity: float, specificity: float | None) -> dict[str, Any]:
    return {
        "accuracy": interval(0.9),
        "sensitivity": interval(sensitivity),
        "specificity": interval(specificity),
    }


SECOND_FORMAT = a_card(
    "new",
    points={"balanced": 0.55, "sensitive": 0.22},
    temperature=1.669,
    metrics={
        "validation": {
            "n": 803,
            "patients": 436,
            "auroc": interval(0.981),
            "ece": interval(0.031),
            **at_threshold(0.951, 0.942),
            "operating_point": "balanced",
            "operating_points": {
                "balanced": at_threshold(0.951, 0.942),
                "sensitive": at_threshold(0.987, None),
            },
        }
    },
)


def about(portal: Portal, card: dict[str, Any]) -> str:
    """The about page's text with this card in production."""
    with portal.database.sessions.begin() as session:
        version = ModelVersion(name=card["model_version"], folder=None, card=card)
        session.add(version)
        session.flush()
        set_production(session, version, reason="for a test")
    return words(portal.browser(), "/about")


def test_about_page_shows_a_card_of_format_1(portal: Portal) -> None:
    text = about(portal, FIRST_FORMAT)
    for expected in (
        "Operating point balanced , in use threshold 41 %: the highest that still finds 95% Cal",
        "temperature 1.67: on validation patients",
        "validation 803 436 balanced 0.996 0.993 to 0.999 – 0.949 0.938 0.984",
    ):
        assert expected in text, expected


def test_about_page_shows_a_card_of_format_2(portal: Portal) -> None:
    text = about(portal, SECOND_FORMAT)
    for expected in (
        "Operating point balanced , in use threshold 55 %: the rule of balanced Op",
        "Operating point sensitive threshold 22 %: the rule of sensitive Calibration",
        "above an unfamiliarity of 0.3: “somewhat unlike the training images”",
        "validation 803 436 balanced 0.981 0.971 to 0.991 0.031 0.021 to 0.041 "
        "0.900 0.890 to 0.910 0.951 0.941 to 0.961 0.942 0.932 to 0.952",
        "0.987 0.977 to 0.997 –",
    ):
        assert expected in text, expected


@pytest.mark.parametrize(("entries", "shown"), [({}, "float32"), ({"precision": "int8"}, "int8")])
def test_about_page_names_the_precision(
    portal: Portal, entries: dict[str, str], shown: str
) -> None:
    card = {**SECOND_FORMAT, "architecture": "MobileNetV2", **entries}
    assert f"Network MobileNetV2, computed in {shown}" in about(portal, card)


def test_about_page_shows_a_nearly_empty_card(portal: Portal) -> None:
    assert "bare" in about(portal, {"model_version": "bare"})
