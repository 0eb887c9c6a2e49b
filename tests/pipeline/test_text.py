import pytest

from pipeline.text import percent, plural, probability_percent, readable


def test_plural() -> None:
    assert [plural(n, "image") for n in (0, 1, 1200)] == ["0 images", "1 image", "1,200 images"]
    assert plural(2, "study", "studies") == "2 studies"


@pytest.mark.parametrize(
    ("share", "text"), [(None, "–"), (0, "0 %"), (0.012, "1.2 %"), (0.954, "95 %"), (1, "100 %")]
)
def test_percent(share: float | None, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("probability", "text"), [(None, "–"), (0.0, "< 1 %"), (0.5, "50 %"), (1.0, "> 99 %")]
)
def test_probability_percent_is_never_certain(probability: float | None, text: str) -> None:
    assert probability_percent(probability) == text


def test_readable_replaces_unprintable_characters() -> None:
    assert readable("a\x1b[31m\u202eb\udcff.png") == "a\N{REPLACEMENT CHARACTER}[31m" + (
        "\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}.png"
    )
