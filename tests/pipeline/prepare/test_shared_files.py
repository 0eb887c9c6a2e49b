"""The shared files decode as their manifests expect."""

import csv
from pathlib import Path

import numpy as np
import pytest

from pipeline.decode.decode import decode
from pipeline.prepare.network_input import network_input
from pipeline.prepare.prepare import prepare

pytestmark = pytest.mark.shared

# Mean difference in grey levels (of 255) that a file may have from the first of its group,
# where it is not the same image to the last bit.
ALLOWED = {
    "rg1_cr_15bit_jpegls_near": 1,  # lossy, as is the first of its group
    "siim_cr_8bit_jpeg_fake_mono1.dcm": 0.05,  # JPEG of a negative, turned back
    "drv_cr10_rescale.dcm": 10,  # states no window: all stored values are shown
    "drv_cr10_rgb8.dcm": 16,  # was scaled to the image's own maximum when it was made
    "drv_cr10_voilut_seq.dcm": 40,  # a table with gamma 0.7
}
INVERTED = "siim_cr_8bit_jpeg_fake_mono1.dcm"  # its tag says so, though its pixels do not


def rows_of(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="") as file:
        return list(csv.DictReader(file))


def test_dicom_files_of_one_image_decode_alike(shared_data: Path) -> None:
    first: dict[str, np.ndarray] = {}
    rows = rows_of(shared_data / "dicom" / "manifest.csv")
    for row in rows:
        name = Path(row["file"]).name
        image = decode(shared_data / row["file"])
        assert (str(image.rows), str(image.columns)) == (row["rows"], row["cols"]), name
        assert str(image.frames) == row["frames"], name
        assert image.tags.get("Modality", "") == row["modality"], name
        found = network_input(image).astype(int)
        if name == INVERTED:
            found = 255 - found
        reference = first.setdefault(row["image_group"], found)
        assert abs(found - reference).mean() <= ALLOWED.get(name, 0), name
    assert len(rows) == 31
    assert len(first) == 9


def test_reencoded_images_decode_alike(shared_data: Path) -> None:
    folder = shared_data / "hostile" / "cxr_reencoded"
    reference = network_input(decode(folder / "s_cxr_ref.png")).astype(int)
    for path in sorted(folder.iterdir()):
        found = network_input(decode(path)).astype(int)
        assert abs(found - reference).mean() < 1, path.name
        assert abs(found - reference).max() < 12, path.name


def test_full_resolution_gives_the_network_input_of_the_training_image(shared_data: Path) -> None:
    """The training images are the same radiographs, resized and compressed by others."""
    learned = shared_data / "chest_xray" / "train"
    differences = [
        abs(input_of(path) - input_of(learned / path.parent.name / path.name)).mean()
        for path in sorted((shared_data / "chest_xray_full_resolution").glob("*/*.jpeg"))
        if (learned / path.parent.name / path.name).exists()
    ]
    assert len(differences) > 50
    assert np.mean(differences) < 0.8  # 1.6 without the compression


def input_of(path: Path) -> np.ndarray:
    return prepare(path).network_input.astype(int)
