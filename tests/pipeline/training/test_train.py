"""Training end to end on a toy network, and its refusals."""

import sys
from dataclasses import replace
from pathlib import Path
from shutil import copyfile, copytree

import numpy as np
import pytest
from PIL import Image as Picture

from pipeline.inference.version_folder import BASELINE, load_card, verify_checksums
from pipeline.subject import UNSTATED, Subject
from pipeline.training.data.dataset import Dataset, read_images
from pipeline.training.job import STAGES, TrainingProgress
from pipeline.training.labelled.folder import LabelledFolder
from pipeline.training.labelled.image import DatasetError
from pipeline.training.train import read_job, split_dataset, train_sets
from tests.support.imaging.networks import TOY, write_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_dataset(tmp_path_factory.mktemp("dataset"))
    copytree(folder / "train", folder / "test")
    for path in (folder / "test").rglob("*.jpeg"):
        Picture.open(path).save(path, quality=60)  # a copy would count once
    return folder


@pytest.mark.tensorflow
def test_train_sets_writes_a_version(dataset: Path, tmp_path: Path) -> None:
    steps: list[TrainingProgress] = []
    folder = train_sets([dataset], tmp_path / "toy", config=TOY, progress=steps.append)
    verify_checksums(folder)
    card = load_card(folder)
    assert card.model_version == "toy-1"
    data = card.raw["data"]
    assert data["train"]["images"] + data["validation"]["images"] == 32
    assert card.raw["metrics"]["validation"]["n"] == data["validation"]["images"]
    assert card.raw["metrics"]["test"]["n"] == 32
    assert (folder / "learning_curves.svg").read_text().startswith("<svg")
    assert [step.stage for step in steps if step.done == step.total][-1] == "evaluate"
    shares = [step.share for step in steps]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert {step.stage for step in steps} == set(STAGES)
    assert not list(tmp_path.glob(".*")), "checkpoints and partial folders are removed"
    assert "openvino_telemetry.main" not in sys.modules, "the export sends no telemetry"
    steps.clear()
    with pytest.raises(FileExistsError, match="never changed"):
        train_sets([dataset], folder, config=TOY, progress=steps.append)
    assert not steps, "it is refused before images are read"


@pytest.mark.tensorflow
def test_calibration_and_guard_know_the_populations_of_a_data_set() -> None:
    from pipeline.training.finish import populations_of

    pixels, labels = np.zeros((2, 8, 8), np.uint8), np.array([0, 1], np.uint8)
    stated = Dataset(pixels, labels, np.array(["a", "b"]), subjects=(Subject("adults"), UNSTATED))
    assert populations_of(stated).tolist() == ["adults", ""]
    unstated = Dataset(pixels, labels, np.array(["a", "b"]))
    assert populations_of(unstated).tolist() == ["", ""]


def test_split_dataset_keeps_patients_apart(dataset: Path) -> None:
    everything = read_images(list(LabelledFolder(dataset / "train")), size=64)
    learning, validation = split_dataset(everything, config=TOY)
    assert not set(learning.patients) & set(validation.patients)
    assert len(learning) + len(validation) == len(everything)


def test_split_dataset_refuses_a_split_without_one_class(dataset: Path) -> None:
    everything = read_images(list(LabelledFolder(dataset / "train")), size=64)
    with pytest.raises(DatasetError, match="too few patients: the validation split"):
        split_dataset(everything, config=replace(TOY, validation_share=0.0))


def test_train_sets_refuses_a_missing_class(tmp_path: Path) -> None:
    (tmp_path / "train" / "NORMAL").mkdir(parents=True)
    with pytest.raises(DatasetError, match="images of NORMAL to train on, found none"):
        train_sets([tmp_path], tmp_path / "out", config=TOY)


def test_read_job_goes_on_after_bad_files_and_names_them(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path) / "train"
    (folder / "NORMAL" / "broken.jpeg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (folder / "PNEUMONIA" / "notes.txt").write_text("no picture")
    (folder / "PNEUMONIA" / "gone.png").symlink_to("nowhere")
    copytree(folder / "PNEUMONIA", folder / "PNEUMONIA" / "again", symlinks=True)
    copyfile(folder / "NORMAL" / "person1000_virus_0.jpeg", folder / "PNEUMONIA" / "both.jpeg")
    steps: list[TrainingProgress] = []
    job = read_job([tmp_path], config=TOY, progress=steps.append)
    assert len(job.training) + len(job.validation) == 31
    refused = [step.describe().split(": ")[0] for step in steps if step.stage == "refused"]
    assert refused == [
        "train/PNEUMONIA/again/gone.png",
        "train/PNEUMONIA/gone.png",
        "train/NORMAL/broken.jpeg",
        "train/PNEUMONIA/again/notes.txt",
    ]
    copies, contradictions = (step.text for step in steps if step.stage == "note")
    assert "17 copies of other images not counted: " in copies
    assert "= train/PNEUMONIA/both.jpeg" in contradictions


def test_read_job_of_a_table(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    files = sorted((folder / "train").rglob("*.jpeg"))
    rows = [f"{path.relative_to(folder)};{path.parent.name}\n" for path in files]
    (folder / "table.csv").write_text("file;label\n" + "".join(rows))
    job = read_job([folder / "table.csv"], config=TOY)
    assert len(job.training) + len(job.validation) == 32


def write_set(folder: Path, name: str, *, seed: int, text: str = "") -> Path:
    """A manifest of the folder's phantoms with other pixels, whose patients have the same names."""
    write_dataset(folder / name / "all")
    files = sorted((folder / name).rglob("*.jpeg"))
    for path in files:
        pixels = np.asarray(Picture.open(path)).astype(int) + seed
        Picture.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    rows = [
        f"{path.relative_to(folder / name)},{path.parent.name},{path.name.split('_')[0]},dev,"
        f"{'a' if n % 8 else 'b'}\n"
        for n, path in enumerate(files)
    ]
    header = "file,label,patient_group,split,use\n"
    (folder / name / "table.csv").write_text(header + "".join(rows))
    manifest = folder / f"{name}.toml"
    manifest.write_text(
        f'images = "{name}/table.csv"\npatient_column = "patient_group"\nhas_splits = false\n{text}'
    )
    return manifest


def test_read_job_of_several_sets(tmp_path: Path) -> None:
    children = write_set(tmp_path, "children", seed=1, text='population = "children"\n')
    adults = write_set(
        tmp_path, "adults", seed=2, text='population = "adults"\nview = "PA"\nrows.use = ["a"]\n'
    )
    job = read_job([children, adults], config=TOY)
    assert not set(job.training.patients) & set(job.validation.patients)
    assert set(job.training.origins) == {"children", "adults"}
    assert set(job.training.strata) == {"children ", "adults PA"}
    counts = [
        sum(sum(subject.population == name for subject in part.subjects) for part in parts)
        for name in ("children", "adults")
        for parts in [(job.training, job.validation)]
    ]
    assert counts == [32, 28], "a quarter of those of one class have another use"
    assert {name: int(part.sum()) for name, part in job.groups.items()} == {
        name: sum(subject.population == name for subject in job.validation.subjects)
        for name in ("adults", "children")
    }


def test_read_job_leaves_out_an_origin_with_one_class(tmp_path: Path) -> None:
    children = write_set(tmp_path, "children", seed=1)
    ill = write_set(tmp_path, "ill", seed=2, text='rows.label = ["PNEUMONIA"]\n')
    steps: list[TrainingProgress] = []
    job = read_job([children, ill], config=TOY, progress=steps.append)
    assert set(job.training.origins) == set(job.validation.origins) == {"children"}
    (note,) = (step.text for step in steps if step.stage == "note")
    assert note.startswith("ill: 16 images not learned from, since only pneumonia is known of")
    normal = write_set(tmp_path, "well", seed=3, text='rows.label = ["NORMAL"]\n')
    with pytest.raises(DatasetError, match="no origin has images of both classes"):
        read_job([ill, normal], config=TOY)


def test_read_job_tells_of_unused_images_of_the_split_val(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    (folder / "train").rename(folder / "all")
    files = sorted((folder / "all").rglob("*.jpeg"))
    rows = [f"{path.relative_to(folder)},{path.parent.name},train\n" for path in files]
    rows[:2] = [row.replace("train", "val") for row in rows[:2]]
    (folder / "table.csv").write_text("file,label,split\n" + "".join(rows))
    steps: list[TrainingProgress] = []
    job = read_job([folder / "table.csv"], config=TOY, progress=steps.append)
    assert len(job.training) + len(job.validation) == 30
    (note,) = (step.text for step in steps if step.stage == "note")
    assert note.startswith("2 images of the split val not used: validation patients are taken")


def test_read_job_needs_both_classes_after_bad_files_are_left_out(tmp_path: Path) -> None:
    for label in ("NORMAL", "PNEUMONIA"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "broken.jpeg").write_bytes(label.encode())
    with pytest.raises(DatasetError, match="too few patients: the training split lacks one"):
        read_job([tmp_path], config=TOY)


@pytest.mark.tensorflow
def test_build_network_takes_over_start_weights_or_says_why_not(tmp_path: Path) -> None:
    from pipeline.training.network import StartWeightsError, build_network

    given, path = build_network(size=64, alpha=0.35), tmp_path / "start.keras"
    given.save(path)
    (tmp_path / "bad.keras").write_bytes(b"not a network")
    taken = build_network(size=64, alpha=0.35, start_weights=path)
    for ours, theirs in zip(taken.get_weights(), given.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for start, alpha, complaint in (
        (path, 0.5, "expected the layers of MobileNetV2 0.5 in the start weights"),
        (tmp_path / "none.keras", 0.35, "no such file"),
        (tmp_path / "bad.keras", 0.35, "bad.keras is not a readable Keras file"),
    ):
        with pytest.raises(StartWeightsError) as caught:
            build_network(size=64, alpha=alpha, start_weights=start)
        assert complaint in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.tensorflow
def test_network_started_from_a_version_answers_as_that_version() -> None:
    """Folding, rounding and freezing change nothing before training."""
    from pipeline.inference.engine import NETWORK_FILE, load_engine
    from pipeline.inference.gradcam import MIDDLE_MAP, forward_function
    from pipeline.training.config import FROZEN_SHARE
    from pipeline.training.network import (
        build_network,
        fold_batch_normalisation,
        freeze_lower,
        round_to_float16,
    )
    from tests.support.imaging.networks import phantom_inputs

    images = phantom_inputs(count=4)
    expected = load_engine(BASELINE).infer(images)
    network = build_network(start_weights=BASELINE / NETWORK_FILE)
    fold_batch_normalisation(network)
    round_to_float16(network)
    freeze_lower(network, share=FROZEN_SHARE)
    names = [layer.name for layer in network.layers]
    below = network.layers[: names.index(MIDDLE_MAP) + 1]
    assert not any(layer.trainable for layer in below), "the guard's features must stay"
    again = forward_function(network)(images)  # as it is exported
    np.testing.assert_allclose(again["logits"], expected.logits, atol=1e-3)
    np.testing.assert_allclose(again["features"], expected.features, atol=1e-3)


@pytest.mark.tensorflow
def test_augment_changes_images_and_keeps_shape_and_type() -> None:
    from pipeline.training.data.augmentation import augment
    from tests.support.imaging.networks import phantom_inputs

    images = phantom_inputs(count=4)
    seed = np.array([1, 2], np.int32)
    changed = augment(images, seed=seed, config=TOY).numpy()
    assert changed.shape == images.shape
    assert changed.dtype == np.uint8
    assert all((one != other).mean() > 0.5 for one, other in zip(images, changed, strict=True))
