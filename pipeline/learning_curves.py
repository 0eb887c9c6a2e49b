"""The learning curves as a picture."""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.matplotlib_setup import import_matplotlib


@dataclass
class LearningCurves:
    """One number per epoch; the head's epochs first. head_epochs says where they end.

    Losses are binary cross-entropies with both classes weighing the same; the training loss is
    over augmented images, so it may lie above validation's.
    """

    head_epochs: int = 0
    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_auroc: list[float] = field(default_factory=list)


def plot_learning_curves(curves: LearningCurves, path: Path) -> None:
    """Write a PNG of loss and AUROC by epoch."""
    import_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(curves.loss) + 1)
    left.plot(epochs, curves.loss, label="training (augmented)", marker=".")
    left.plot(epochs, curves.validation_loss, label="validation patients", marker=".")
    left.set(title="Loss", xlabel="epoch", ylim=(0, None))
    left.legend(frameon=False)
    right.plot(epochs, curves.validation_auroc, color="tab:orange", marker=".")
    right.set(title="AUROC, validation patients", xlabel="epoch")
    for axes in (left, right):
        axes.axvline(curves.head_epochs + 0.5, color="0.6", linestyle=":")
        axes.grid(alpha=0.3)
    right.text(
        curves.head_epochs + 0.3, right.get_ylim()[0], " head | upper blocks",
        ha="center", va="bottom", color="0.4", fontsize=8,
    )  # fmt: skip
    figure.savefig(path, dpi=90)
