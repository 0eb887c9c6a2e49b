"""The heatmap's scores in the model card: as tables, whatever of them is in card.json."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pipeline.markdown import figure_text, table

METRICS: Final = {
    "pointing_game": "peak in a box (pointing game)",
    "mean_iou": "mean IoU",
    "energy_inside": "energy inside boxes",
}
REFERENCES: Final = {
    "centre_prior": "a spot in the middle of every film",
    "mean_heatmap": "the mean heatmap of the other films",
    "mean_boxes": "the mean of the other films' boxes",
    "own_boxes": "the film's own boxes, as coarse as a heatmap: the best there could be",
}
RANDOMISED: Final = {"layers": "without meaning", "correlation": "correlation", "empty": "empty"}


def heatmap_section(scores: Mapping[str, Any]) -> str:
    """Markdown. scores: as `heatmap_score.score_external` gives them; may be empty."""
    if not scores:
        return "It was not compared with readers' boxes."
    references = {name: words for name, words in REFERENCES.items() if name in scores}
    rows = [["the heatmap", *_cells(scores, METRICS)]]
    rows += [[words, *_cells(scores[name], METRICS)] for name, words in references.items()]
    gains = [f"{metric}_gain" for metric in METRICS]
    parts = [
        f"Against the boxes that readers drew on {scores['images']} films of adults, beside "
        "guesses that do not look at the film. Mean over films with its 95 % interval:",
        table(["", *METRICS.values()], rows),
        "How much more the heatmap scores, film by film. Where the interval holds 0, it is not "
        "known to be better than that guess:",
        table(
            ["than", *METRICS.values()],
            ([words, *_cells(scores[name], gains)] for name, words in references.items()),
        ),
    ]
    if "randomisation" in scores:
        parts += _randomisation(scores["randomisation"])
    return "\n\n".join(parts)


def _randomisation(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        "With the weights of some layers shuffled, a heatmap should change (Adebayo 2018). How "
        "alike it stays, as a correlation over its places, and how many heatmaps are empty then:",
        table(
            list(RANDOMISED.values()),
            (
                [
                    row["layers"],
                    figure_text({**row, "value": row["correlation"]}),
                    f"{row['empty']:.0%}",
                ]
                for row in rows
            ),
        ),
    ]


def _cells(scores: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [figure_text(scores.get(name)) for name in names]
