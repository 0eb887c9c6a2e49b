"""NORMAL and PNEUMONIA in a folder, or in one of its splits."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from cli.fatal import UsageProblem
from cli.labelled import Labelled
from cli.sources import Walk
from pipeline.inference.version_folder import Card
from pipeline.training.dataset import LABELS
from pipeline.training.splits import patient_of, split_of

IsMeant = Callable[[str], bool]
MAY_BE_LEARNED = "The network may have learned from images in a folder called train."


class LabelledFolder:
    """is_meant: of a patient; the others' images are passed over."""

    def __init__(self, folder: Path, *, name: str = "", is_meant: IsMeant | None = None) -> None:
        self._folders = class_folders(folder)
        self._is_meant = is_meant
        self.name = name or folder.resolve().name
        self.left_out: Counter[str] = Counter()
        self.notes = tuple(
            f"There is no folder {label}; figures that need both classes are missing."
            for label in LABELS
            if label not in self._folders
        )
        if folder.resolve().name == "train" and not is_meant:
            self.notes += (MAY_BE_LEARNED,)

    def count(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Labelled]:
        for label, folder in self._folders.items():
            for source in Walk([folder]):
                patient = patient_of(source.path.name)
                if self._is_meant is None or self._is_meant(patient):
                    yield Labelled(source.file, source.path, LABELS[label], patient)


def open_folder(folder: Path, *, split: str | None, card: Card) -> LabelledFolder:
    """The folder itself, or the split that is meant. Raises UsageProblem."""
    splits = _splits(folder)
    if split is None:
        if class_folders(folder):
            return LabelledFolder(folder)
        return LabelledFolder(folder / _only(folder, splits))
    if split in splits:
        return LabelledFolder(folder / split, name=f"{folder.resolve().name}, {split}")
    if split == "validation" and "train" in splits:
        return _set_aside(folder, card)
    found = ", ".join(splits) or "none"
    raise UsageProblem(f"{folder}: there is no split {split} in it; found: {found}")


def class_folders(folder: Path) -> dict[str, Path]:
    """Those of NORMAL and PNEUMONIA that are there, in upper or lower case."""
    if not folder.is_dir():
        return {}
    children = {path.name.upper(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return {label: children[label] for label in LABELS if label in children}


def _splits(folder: Path) -> list[str]:
    return [path.name for path in sorted(folder.iterdir()) if class_folders(path)]


def _only(folder: Path, splits: list[str]) -> str:
    if not splits:
        raise UsageProblem(
            f"{folder}: expected folders NORMAL and PNEUMONIA, or splits that hold them"
        )
    if len(splits) > 1:
        raise UsageProblem(
            f"{folder}: holds several splits; name one by --split: {', '.join(splits)}"
        )
    return splits[0]


def _set_aside(folder: Path, card: Card) -> LabelledFolder:
    """The patients in train that the version's training did not learn from."""
    try:
        config = card.raw["config"]
        key, share = str(config["split_key"]), float(config["validation_share"])
    except KeyError as error:
        raise UsageProblem(
            f"{card.model_version}: its card lacks {error}, so its validation patients are unknown"
        ) from None

    def is_meant(patient: str) -> bool:
        return split_of(patient, key=key, validation_share=share) == "validation"

    name = f"{folder.resolve().name}, patients of train set aside for validation"
    return LabelledFolder(folder / "train", name=name, is_meant=is_meant)
