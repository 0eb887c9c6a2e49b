from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.decode import decode
from pipeline.evaluation.fingerprint import (
    HASH_BITS,
    Fingerprint,
    detail_correlation,
    fingerprints,
    hash_signs,
)
from pipeline.evaluation.leakage import (
    MAX_DISTANCE,
    MIN_CORRELATION,
    CheckedImage,
    Leak,
    find_leaks,
    leak_report,
)
from pipeline.phantom.drawing import draw_phantom
from pipeline.prepare.network_input import DECODED_SIZE, network_input
from pipeline.training.data.splits import patient_of
from pipeline.types import Split

TRAIN, VALIDATION, TEST = Split
Pixels = NDArray[np.uint8]


@dataclass
class Images:
    """Each its own patient, study and pixels unless given."""

    images: list[CheckedImage] = field(default_factory=list)
    pixels_of: dict[str, Pixels] = field(default_factory=dict)

    def add(self, split: Split, **known: Any) -> str:
        number = len(self.images)
        sha256 = f"{number:064d}"
        pixels = known.pop("pixels", None)
        self.pixels_of[sha256] = noise(number) if pixels is None else pixels
        (made,) = fingerprints(self.pixels_of[sha256][None])
        usual = {"patient_hash": f"patient {number}", "study_hash": f"study {number}"}
        self.images.append(CheckedImage(sha256, split, fingerprint=made, **{**usual, **known}))
        return sha256

    def read(self, sha256s: Sequence[str]) -> Pixels:
        return np.stack([self.pixels_of[sha256] for sha256 in sha256s])

    def leaks(self) -> list[Leak]:
        return find_leaks(self.images, read_inputs=self.read)


def noise(seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (224, 224), np.uint8)


def phantom(seed: int = 1) -> Pixels:
    return draw_phantom(seed=seed, finding="normal", size=(224, 224))


def altered(pixels: Pixels) -> dict[str, Pixels]:
    jpeg = BytesIO()
    Image.fromarray(pixels).save(jpeg, "JPEG", quality=50)
    small = Image.fromarray(pixels).resize((150, 150), Image.Resampling.LANCZOS)
    return {
        "compressed again": np.asarray(Image.open(jpeg)),
        "resized": np.asarray(small.resize((224, 224), Image.Resampling.BICUBIC)),
        "brighter": np.clip(pixels * 1.1 + 8, 0, 255).astype(np.uint8),
        "darker": np.clip(pixels * 0.85, 0, 255).astype(np.uint8),
    }


@pytest.mark.parametrize(
    ("kind", "common"),
    [
        ("patient", {"patient_hash": "the same"}),
        ("study", {"study_hash": "the same"}),
        ("pixels", {"pixels": phantom()}),
    ],
)
@pytest.mark.parametrize("lower", [TRAIN, VALIDATION])
@pytest.mark.parametrize("upper", [VALIDATION, TEST])
def test_images_shared_by_two_splits_are_excluded_from_the_lower(
    kind: str, common: dict[str, Any], lower: Split, upper: Split
) -> None:
    images = Images()
    for split in Split:
        images.add(split)
    excluded = images.add(lower, **common)
    other = images.add(upper, **common)
    expected = [] if lower == upper else [Leak(kind, excluded, lower, other, upper)]  # type: ignore[arg-type]
    assert images.leaks() == expected


@pytest.mark.parametrize("how", list(altered(phantom())))
@pytest.mark.parametrize(("lower", "upper"), [(TRAIN, TEST), (VALIDATION, TEST)])
def test_altered_copy_is_found(how: str, lower: Split, upper: Split) -> None:
    images = Images()
    for split in Split:
        images.add(split)
    other = images.add(upper, pixels=phantom())
    excluded = images.add(lower, pixels=altered(phantom())[how])
    assert images.leaks() == [Leak("near", excluded, lower, other, upper)]


def test_report_counts_an_image_with_several_leaks_once() -> None:
    images = Images()
    images.add(TEST, patient_hash="same", pixels=phantom())
    images.add(TRAIN, patient_hash="same", pixels=phantom())
    images.add(TRAIN, pixels=altered(phantom())["brighter"])
    report = leak_report(images.leaks())
    assert (report["images"], report["splits"]) == (2, {"train": 2})
    counts = {kind: found["images"] for kind, found in report["kinds"].items()}
    assert counts == {"patient": 1, "study": 0, "pixels": 1, "near": 1}
    assert "1 image of train excluded: same patient in test." in report["words"]


def test_order_of_images_does_not_matter() -> None:
    images = Images()
    for split in list(Split) * 4:
        images.add(split, patient_hash="same", pixels=phantom())
    backwards = find_leaks(images.images[::-1], read_inputs=images.read)
    assert backwards == images.leaks()
    assert {leak.excluded for leak in backwards} == {
        image.sha256 for image in images.images if image.split != TEST
    }


def test_images_without_detail_do_not_match() -> None:
    images = Images()
    images.add(TEST, pixels=np.zeros((224, 224), np.uint8))
    images.add(TRAIN, pixels=np.full((224, 224), 7, np.uint8))
    assert images.leaks() == []


def test_number_of_inputs_read_is_bounded() -> None:
    """Of blank images every pair is near by its hash."""
    asked = 0

    def read(sha256s: Sequence[str]) -> Pixels:
        nonlocal asked
        asked += len(sha256s)
        return np.zeros((len(sha256s), 224, 224), np.uint8)

    images = [
        CheckedImage(f"{n}", TEST if n % 2 else TRAIN, f"{n}", None, Fingerprint(f"{n}", "0" * 64))
        for n in range(100)
    ]
    assert find_leaks(images, read_inputs=read) == []
    assert 0 < asked <= 50 * 8


def test_hash_signs_give_the_hamming_distance() -> None:
    first, second = fingerprints(np.stack([phantom(1), phantom(2)]))
    signs = hash_signs([first.perceptual_hash, second.perceptual_hash])
    assert signs.shape == (2, HASH_BITS)
    bits = int(first.perceptual_hash, 16) ^ int(second.perceptual_hash, 16)
    assert (HASH_BITS - signs[0] @ signs[1]) / 2 == bits.bit_count()
    assert 0.3 < (signs > 0).mean() < 0.7


@pytest.mark.shared
def test_originals_match_and_patients_do_not(
    shared_data: Path,
) -> None:
    small = {path.name: path for path in (shared_data / "chest_xray").rglob("*.jpeg")}
    originals = sorted((shared_data / "chest_xray_full_resolution").rglob("*.jpeg"))
    pairs = [(path, small[path.name]) for path in originals if path.name in small][:12]
    assert pairs
    read = [
        np.stack([network_input(decode(path, minimum_size=DECODED_SIZE)) for path in side])
        for side in zip(*pairs, strict=True)
    ]
    signs = [hash_signs([made.perceptual_hash for made in fingerprints(side)]) for side in read]
    distances = (HASH_BITS - signs[0] @ signs[1].T) / 2
    patients = np.array([patient_of(path.name) for _, path in pairs])
    others = patients[:, None] != patients
    assert distances.diagonal().max() < MAX_DISTANCE / 4
    assert distances[others].min() > MAX_DISTANCE
    assert detail_correlation(*read).min() > MIN_CORRELATION
