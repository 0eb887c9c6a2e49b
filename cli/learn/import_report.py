"""What an import found, kept with the set and told in sentences."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.learn.labelled_images import Refused
from models.learning.datasets import Added, NewImage
from models.learning.snapshots import LEARNABLE
from models.tables.learning import LabelValue
from pipeline.evaluation.leakage import Leak, leak_report
from pipeline.text import plural
from pipeline.types import Split

LISTED = 1000  # refused files whose names are kept; all are counted
NAMED = 10  # files that are named where the same picture has both labels


@dataclass
class Findings:
    """contradictory: files whose picture lies under both labels. elsewhere: images by set.

    on_two_sides: pictures with copies in several splits. moved: the folder has them in another
    split than the set.
    """

    notes: Sequence[str]
    images: Sequence[NewImage] = ()
    refused: list[Refused] = field(default_factory=list)
    contradictory: list[str] = field(default_factory=list)
    elsewhere: Counter[str] = field(default_factory=Counter)
    copies: int = 0
    on_two_sides: int = 0
    moved: int = 0
    leaks: Sequence[Leak] = ()


def as_json(findings: Findings) -> dict[str, Any]:
    return {
        "images": len(findings.images),
        "patients": _patients(findings.images),
        "splits": {
            split.value: _of_split(findings.images, split)
            for split in Split
            if any(image.split == split for image in findings.images)
        },
        "notes": list(findings.notes),
        "refused": len(findings.refused),
        "refused_files": [[one.file, one.reason] for one in findings.refused[:LISTED]],
        "contradictory": len(findings.contradictory),
        "elsewhere": dict(findings.elsewhere),
        "copies": findings.copies,
        "on_two_sides": findings.on_two_sides,
        "leaks": leak_report(findings.leaks),
    }


def sentences(
    name: str, findings: Findings, *, added: Added | None, is_new: bool, min_patients: int
) -> Iterator[str]:
    """min_patients: that the gate asks for, of each finding in every test set."""
    yield _headline(name, findings, added, is_new)
    for split in Split:
        if images := [image for image in findings.images if image.split == split]:
            yield f"  {split.value}: {_described(images)}"
    yield from findings.notes
    yield from _told_of_few(findings.images, min_patients)
    if findings.images:
        yield from _told_of_leaks(leak_report(findings.leaks))
    yield from _told_of_copies(findings)
    if findings.refused:
        yield f"{plural(len(findings.refused), 'file')} could not be read; named above."


def _headline(name: str, findings: Findings, added: Added | None, is_new: bool) -> str:
    if added is None:
        return f"{name}: nothing to import."
    if not added.images and not added.labels:
        return (
            f"{name}: nothing new; all {plural(len(findings.images), 'image')} were there before."
        )
    if is_new:
        return f"{name}: {_described(findings.images)}, imported."
    changed = added.labels - added.images
    also = f" and {plural(changed, 'changed label')}" if changed > 0 else ""
    return f"{name}: {plural(added.images, 'new image')}{also}; now {_described(findings.images)}."


def _told_of_few(images: Sequence[NewImage], min_patients: int) -> Iterator[str]:
    """Every set has a say in every night."""
    test = [image for image in images if image.split == Split.TEST]
    few = {
        value.value: _patients(shown)
        for value in LEARNABLE
        if test and _patients(shown := [one for one in test if one.value == value]) < min_patients
    }
    if few:
        found = " and ".join(f"{number} with {value}" for value, number in few.items())
        yield (
            f"The test split shows too few patients for the gate: {found} images, and it takes "
            f"{min_patients} of each. While the set is here, no night's candidate gets a yes."
        )


def _told_of_leaks(report: dict[str, Any]) -> Iterator[str]:
    if not report["images"]:
        yield "Leaks between the splits: none found."
        return
    yield (
        f"Leaks between the splits: {plural(report['images'], 'image')} will be kept out of "
        "snapshots on the training side."
    )
    yield from (f"  {sentence}" for sentence in report["words"])


def _told_of_copies(findings: Findings) -> Iterator[str]:
    if findings.copies:
        yield f"{plural(findings.copies, 'file')} with the same bytes as another counted once."
    if findings.on_two_sides:
        yield (
            f"{plural(findings.on_two_sides, 'picture')} had copies in several splits; "
            "test goes before validation, validation before train."
        )
    if findings.contradictory:
        named = ", ".join(findings.contradictory[:NAMED])
        yield (
            f"{plural(len(findings.contradictory), 'picture')} under both NORMAL and PNEUMONIA "
            f"left out: {named}{', ...' if len(findings.contradictory) > NAMED else ''}"
        )
    for other, number in findings.elsewhere.items():
        yield f"{plural(number, 'image')} came with the set {other} before and stay there."
    if findings.moved:
        yield (
            f"{plural(findings.moved, 'image')} in another split now than when imported; "
            "the split of the import stays."
        )


def _described(images: Sequence[NewImage]) -> str:
    values = Counter(image.value for image in images)
    return (
        f"{plural(len(images), 'image')} of {plural(_patients(images), 'patient')} "
        f"({values[LabelValue.PNEUMONIA]:,} pneumonia, {values[LabelValue.NORMAL]:,} normal)"
    )


def _of_split(images: Sequence[NewImage], split: Split) -> dict[str, int]:
    chosen = [image for image in images if image.split == split]
    return {**Counter(image.value.value for image in chosen), "patients": _patients(chosen)}


def _patients(images: Sequence[NewImage]) -> int:
    return len({image.patient_hash for image in images})
