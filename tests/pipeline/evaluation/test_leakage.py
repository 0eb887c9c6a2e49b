"""Planted leaks of every kind are found, the training side loses, and different films are none."""

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
    Film,
    Leak,
    find_leaks,
    leak_report,
)
from pipeline.phantom.drawing import draw_phantom
from pipeline.prepare.network_input import DECODED_SIZE, network_input
from pipeline.training.splits import patient_of
from pipeline.types import Split

TRAIN, VALIDATION, TEST = Split
Picture = NDArray[np.uint8]


@dataclass
class Films:
    """Each its own patient, study and picture unless told otherwise."""

    films: list[Film] = field(default_factory=list)
    pictures: dict[str, Picture] = field(default_factory=dict)

    def add(self, split: Split, **known: Any) -> str:
        number = len(self.films)
        sha256 = f"{number:064d}"
        picture = known.pop("picture", None)
        self.pictures[sha256] = noise(number) if picture is None else picture
        (made,) = fingerprints(self.pictures[sha256][None])
        usual = {"patient_hash": f"patient {number}", "study_hash": f"study {number}"}
        self.films.append(Film(sha256, split, fingerprint=made, **{**usual, **known}))
        return sha256

    def read(self, sha256s: Sequence[str]) -> Picture:
        return np.stack([self.pictures[sha256] for sha256 in sha256s])

    def leaks(self) -> list[Leak]:
        return find_leaks(self.films, read_inputs=self.read)


def noise(seed: int) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (224, 224), np.uint8)


def phantom(seed: int = 1) -> Picture:
    return draw_phantom(seed=seed, finding="normal", size=(224, 224))


def altered(picture: Picture) -> dict[str, Picture]:
    jpeg = BytesIO()
    Image.fromarray(picture).save(jpeg, "JPEG", quality=50)
    small = Image.fromarray(picture).resize((150, 150), Image.Resampling.LANCZOS)
    return {
        "compressed again": np.asarray(Image.open(jpeg)),
        "resized": np.asarray(small.resize((224, 224), Image.Resampling.BICUBIC)),
        "brighter": np.clip(picture * 1.1 + 8, 0, 255).astype(np.uint8),
        "darker": np.clip(picture * 0.85, 0, 255).astype(np.uint8),
    }


def near_copy(picture: Picture) -> Picture:
    return altered(picture)["brighter"]


@pytest.mark.parametrize(
    ("kind", "common"),
    [
        ("patient", {"patient_hash": "the same"}),
        ("study", {"study_hash": "the same"}),
        ("pixels", {"picture": phantom()}),
    ],
)
@pytest.mark.parametrize("lower", [TRAIN, VALIDATION])
@pytest.mark.parametrize("upper", [VALIDATION, TEST])
def test_what_two_splits_share_is_kept_out_of_the_training_side(
    kind: str, common: dict[str, Any], lower: Split, upper: Split
) -> None:
    films = Films()
    for split in Split:
        films.add(split)
    kept_out = films.add(lower, **common)
    other = films.add(upper, **common)
    expected = [] if lower == upper else [Leak(kind, kept_out, lower, other, upper)]  # type: ignore[arg-type]
    assert films.leaks() == expected


@pytest.mark.parametrize("how", list(altered(phantom())))
@pytest.mark.parametrize(("lower", "upper"), [(TRAIN, TEST), (VALIDATION, TEST)])
def test_an_altered_copy_is_found(how: str, lower: Split, upper: Split) -> None:
    films = Films()
    for split in Split:
        films.add(split)
    other = films.add(upper, picture=phantom())
    kept_out = films.add(lower, picture=altered(phantom())[how])
    assert films.leaks() == [Leak("near", kept_out, lower, other, upper)]


def test_one_image_may_be_kept_out_for_several_reasons_and_counts_once() -> None:
    films = Films()
    films.add(TEST, patient_hash="same", picture=phantom())
    films.add(TRAIN, patient_hash="same", picture=phantom())
    films.add(TRAIN, picture=near_copy(phantom()))
    report = leak_report(films.leaks())
    assert (report["images"], report["splits"]) == (2, {"train": 2})
    counts = {kind: found["images"] for kind, found in report["kinds"].items()}
    assert counts == {"patient": 1, "study": 0, "pixels": 1, "near": 1}
    assert "1 image of train kept out: their patient is also in test." in report["words"]


def test_the_order_of_the_films_changes_nothing() -> None:
    films = Films()
    for split in list(Split) * 4:
        films.add(split, patient_hash="same", picture=phantom())
    backwards = find_leaks(films.films[::-1], read_inputs=films.read)
    assert backwards == films.leaks()
    assert {leak.kept_out for leak in backwards} == {
        film.sha256 for film in films.films if film.split != TEST
    }


def test_pictures_without_detail_are_not_alike() -> None:
    films = Films()
    films.add(TEST, picture=np.zeros((224, 224), np.uint8))
    films.add(TRAIN, picture=np.full((224, 224), 7, np.uint8))
    assert films.leaks() == []


def test_many_candidates_cost_little() -> None:
    """A folder of blank pictures: every pair is near by its hash, none is looked at for long."""
    asked = 0

    def read(sha256s: Sequence[str]) -> Picture:
        nonlocal asked
        asked += len(sha256s)
        return np.zeros((len(sha256s), 224, 224), np.uint8)

    films = [
        Film(f"{n}", TEST if n % 2 else TRAIN, f"{n}", None, Fingerprint(f"{n}", "0" * 64))
        for n in range(100)
    ]
    assert find_leaks(films, read_inputs=read) == []
    assert 0 < asked <= 50 * 8


def test_a_hash_is_what_its_docstring_says() -> None:
    first, second = fingerprints(np.stack([phantom(1), phantom(2)]))
    signs = hash_signs([first.perceptual_hash, second.perceptual_hash])
    assert signs.shape == (2, HASH_BITS)
    bits = int(first.perceptual_hash, 16) ^ int(second.perceptual_hash, 16)
    assert (HASH_BITS - signs[0] @ signs[1]) / 2 == bits.bit_count()
    assert 0.3 < (signs > 0).mean() < 0.7


@pytest.mark.shared
def test_full_resolution_originals_are_found_and_patients_are_told_apart(
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
