"""Fit the statistical model that `pipeline.phantom` draws from.

    python -m benchmarks.accuracy.fit_phantom DATASET/train pipeline/phantom

Writes one file per class: the mean of some thousand registered radiographs and the principal
components of what is left, all at 128 x 128 and in 8 bits. A component is an average over all
patients of its class, and a drawing mixes 40 of them with random Gaussian weights, so no
patient's image is in the files or comes out of them.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.training.data.dataset import read_images
from pipeline.training.labelled.folder import FOLDER_LABELS, LabelledFolder

SIDE = 128
COMPONENTS = 40
ROUNDS = 2
Images = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, help="folder with NORMAL and PNEUMONIA")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    dataset = read_images(list(LabelledFolder(arguments.images)))
    everything = _shrink(dataset.images)
    target = everything.mean(axis=0)
    for _ in range(ROUNDS):  # each round's mean is sharper, so the next registers better
        registered, correlations = _register(everything, target)
        keep = correlations > np.quantile(correlations, 0.25)
        target = registered[keep].mean(axis=0)
    for name, label in FOLDER_LABELS.items():
        chosen = registered[keep & (dataset.labels == label)]
        path = arguments.output / f"{name.lower()}.npz"
        _fit(chosen, path)
        print(f"{path}: {len(chosen)} images, {path.stat().st_size} bytes")


def _shrink(images: NDArray[np.uint8]) -> Images:
    """Equal mean and spread for all: each phantom has its own random exposure."""
    small = np.stack([cv2.resize(i, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for i in images])
    values = small.astype(np.float32)
    mean = values.mean(axis=(1, 2), keepdims=True)
    spread = values.std(axis=(1, 2), keepdims=True)
    standard: Images = 0.5 + 0.22 * (values - mean) / (spread + 1e-3)
    return standard


def _register(images: Images, target: Images) -> tuple[Images, NDArray[np.float64]]:
    """Each image moved affinely onto the target (Evangelidis 2008), and how well it fits."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    registered, correlations = np.empty_like(images), np.zeros(len(images))
    for place, image in enumerate(images):
        still = np.eye(2, 3, dtype=np.float32)
        try:
            correlations[place], warp = cv2.findTransformECC(
                target, image, still, cv2.MOTION_AFFINE, criteria, None, 5
            )
        except cv2.error:  # it did not converge; the correlation stays 0, so it is left out
            registered[place] = image
            continue
        registered[place] = cv2.warpAffine(
            image, warp, (SIDE, SIDE),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
    return registered, correlations


def _fit(images: Images, path: Path) -> None:
    flat = images.reshape(len(images), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    random = np.random.default_rng(0)
    # Randomised range finder (Halko 2011): two passes suffice for the leading components.
    basis = (flat - mean) @ random.normal(size=(flat.shape[1], COMPONENTS + 20))
    for _ in range(2):
        basis = np.linalg.qr(basis)[0]
        basis = (flat - mean) @ ((flat - mean).T @ basis)
    small = np.linalg.qr(basis)[0].T @ (flat - mean)
    _, values, components = np.linalg.svd(small, full_matrices=False)
    deviations = values[:COMPONENTS] / np.sqrt(len(flat))
    peaks = np.abs(components[:COMPONENTS]).max(axis=1)
    np.savez_compressed(
        path,
        mean=mean.reshape(SIDE, SIDE).astype(np.float16),
        components=np.rint(components[:COMPONENTS] / peaks[:, None] * 127)
        .astype(np.int8)
        .reshape(-1, SIDE, SIDE),
        # Grey levels that one standard deviation moves a pixel of a component's value 127.
        scales=(deviations * peaks / 127).astype(np.float32),
    )


if __name__ == "__main__":
    main()
