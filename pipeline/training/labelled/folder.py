"""The images in folders NORMAL and PNEUMONIA."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.files.walk import HIDDEN, FolderWalk, LeftOut, is_hidden
from pipeline.subject import UNSTATED, Subject
from pipeline.text import listed, plural, unique_name
from pipeline.training.data.splits import patient_of
from pipeline.training.labelled.image import DatasetError, LabelledImage
from pipeline.types import LABELS, Split

FOLDER_LABELS = {finding.upper(): label for finding, label in LABELS.items()}  # in any case
NEEDED = "metrics that need both classes are missing."


class LabelledFolder:
    """The images in `folder/NORMAL` and `folder/PNEUMONIA`; iterate as often as needed.

    Folders whose names differ in case alone are read as one. Subfolders are included, hidden and
    junk files are not. Links are followed, since splits of a data set are often made of links.
    name: for people. root: what `file` is relative to, by default the folder. split: of all images.
    includes: whether a patient's images are wanted; without it all are. origin, subject: of all
    images. Raises DatasetError where a class is missing and other folders are there: their images
    would be missed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "",
        root: Path | None = None,
        split: Split | None = None,
        includes: Callable[[str], bool] | None = None,
        origin: str = "",
        subject: Subject = UNSTATED,
    ) -> None:
        self._folder, self._classes = folder, class_folders(folder)
        self._origin, self._subject = origin, subject
        self._split, self._includes = split, includes
        self.splits = {split} if split else set()
        self._root = root or folder
        self._not_walked = LeftOut()
        self.name = name or folder.resolve().name
        self.left_out: Counter[str] = Counter()
        self._notes = self._check_layout()

    @property
    def notes(self) -> list[str]:
        """Sentences on what is missing, merged or left out; complete after an iteration."""
        return [*self._notes, *filter(None, [self._not_walked.describe()])]

    def add_note(self, note: str) -> None:
        self._notes.append(note)

    def __iter__(self) -> Iterator[LabelledImage]:
        self._not_walked = LeftOut()
        for path in children(self._folder, hidden=True):
            self._not_walked.add(HIDDEN, path.relative_to(self._root).as_posix())
        for label, folders in self._classes.items():
            for folder in folders:
                for path in FolderWalk(folder, self._not_walked, follow=True, root=self._root):
                    patient = patient_of(unique_name(path.name))
                    if self._includes is None or self._includes(patient):
                        file = unique_name(path.relative_to(self._root).as_posix())
                        yield LabelledImage(
                            file,
                            path,
                            FOLDER_LABELS[label],
                            patient,
                            self._split,
                            subject=self._subject,
                            origin=self._origin,
                        )

    def _check_layout(self) -> list[str]:
        others = [path for path in children(self._folder) if path.name.upper() not in FOLDER_LABELS]
        missing = [label for label in FOLDER_LABELS if label not in self._classes]
        if missing and any(path.is_dir() for path in others):
            found = [path.name for path in children(self._folder) if path.is_dir()]
            raise DatasetError(
                f"{self._folder}: expected folders {' and '.join(FOLDER_LABELS)}; "
                f"found {listed(found)}, no {', '.join(missing)}"
            )
        notes = [f"There is no folder {label}; {NEEDED}" for label in missing]
        for folders in self._classes.values():
            if len(folders) > 1:
                names = " and ".join(folder.name for folder in folders)
                notes.append(f"The folders {names} were read as one.")
        if others:
            count = plural(len(others), "entry", "entries")
            names = listed(unique_name(path.name) for path in others)
            notes.append(f"{count} beside the class folders left out: {names}")
        return notes


def class_folders(folder: Path) -> dict[str, list[Path]]:
    """Return the folders named NORMAL or PNEUMONIA, in any case, by that name."""
    found: dict[str, list[Path]] = {label: [] for label in FOLDER_LABELS}
    try:
        entries = children(folder) if folder.is_dir() else []
    except PermissionError:
        return {}
    for path in entries:
        if path.name.upper() in found and path.is_dir():
            found[path.name.upper()].append(path)
    return {label: folders for label, folders in found.items() if folders}


def split_folders(folder: Path) -> dict[str, Path]:
    """Return the folders that hold NORMAL or PNEUMONIA, by name. Raises DatasetError."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such file or folder")
    return {path.name: path for path in children(folder) if class_folders(path)}


def children(folder: Path, *, hidden: bool = False) -> list[Path]:
    """Return what lies directly in the folder: hidden and junk files, or all others."""
    return [path for path in sorted(folder.iterdir()) if is_hidden(path.name) == hidden]
