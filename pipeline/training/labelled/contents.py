"""Labelled files by their content: copies count once, contradictory labels not at all."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.checksum import sha256_of
from pipeline.files.copies import describe_contradictions, describe_copies
from pipeline.look_ahead import map_ahead
from pipeline.training.labelled.image import LabelledImage, RefusedImage

HASHERS = 4


@dataclass(frozen=True)
class Blob:
    """The same bytes under all the names that they have."""

    sha256: str
    files: tuple[LabelledImage, ...]

    @property
    def names(self) -> list[str]:
        return [file.file for file in self.files]

    @property
    def is_contradictory(self) -> bool:
        return len({file.label for file in self.files}) > 1

    @property
    def counted(self) -> LabelledImage:
        """The file that counts: the first one in the split of highest rank."""
        return max(self.files, key=lambda file: file.split.rank if file.split else 0)


@dataclass(frozen=True)
class Contents:
    """blobs: with one label, in the order of their first files. refused: could not be read."""

    blobs: list[Blob] = field(default_factory=list)
    contradictory: list[Blob] = field(default_factory=list)
    refused: list[RefusedImage] = field(default_factory=list)

    @property
    def copies(self) -> list[list[str]]:
        """Names of files with equal content, for each content that has several."""
        return [blob.names for blob in self.blobs if len(blob.files) > 1]

    def notes(self) -> list[str]:
        contradictions = [blob.names for blob in self.contradictory]
        return [*describe_copies(self.copies), *describe_contradictions(contradictions)]

    def as_json(self) -> dict[str, Any]:
        contradictory = [blob.names for blob in self.contradictory]
        copies = {"count": sum(len(names) - 1 for names in self.copies), "files": self.copies}
        return {
            "copies": copies,
            "contradictory": {"count": len(contradictory), "files": contradictory},
        }


def read_contents(
    images: Iterable[LabelledImage | RefusedImage],
    *,
    progress: Callable[[int], None] = lambda done: None,
    refused: Callable[[RefusedImage], None] = lambda one: None,
) -> Contents:
    """Hash all files. progress: files done. refused: called for each that cannot be read."""
    found = Contents()

    def refuse(one: RefusedImage) -> None:
        found.refused.append(one)
        refused(one)

    def readable_images() -> Iterator[LabelledImage]:
        for image in images:
            if isinstance(image, RefusedImage):
                refuse(image)
            else:
                yield image

    copies: dict[str, list[LabelledImage]] = {}
    hashed = map_ahead(_hash, readable_images(), threads=HASHERS)
    for number, (image, sha256) in enumerate(hashed, start=1):
        progress(number)
        if isinstance(sha256, OSError):
            refuse(RefusedImage(image.file, f"cannot be read: {sha256.strerror}"))
        else:
            copies.setdefault(sha256, []).append(image)
    for sha256, same in copies.items():
        blob = Blob(sha256, tuple(same))
        (found.contradictory if blob.is_contradictory else found.blobs).append(blob)
    return found


def _hash(image: LabelledImage) -> tuple[LabelledImage, str | OSError]:
    try:
        return image, sha256_of(image.path)
    except OSError as error:
        return image, error
