"""Candidates: trained once, continued after an interruption, not in production."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.context import AppContext
from models.files.damage import list_damage
from models.learning.snapshots import snapshot_images
from models.learning.versions import version_path
from models.tables.intake import ModelVersion
from models.tables.learning import DatasetSnapshot
from pipeline.familiarity.distance import appearance
from pipeline.familiarity.guard import FAMILIARITY_FILE, Guard, is_guard_of
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import BASELINE, load_card
from pipeline.phantom.drawing import draw_phantom
from pipeline.training.job import TrainingProgress
from pipeline.types import PREPROCESSING, Split
from tests.support.data.rows import live_version
from tests.support.data.snapshots import FINDINGS, Phantom, freeze_phantoms
from tests.support.data.versions import make_version
from worker.night.candidate import ForeignFolderError, train_candidate
from worker.night.inputs import MissingInputError
from worker.night.training_data import NotEnoughImagesError, read_training_data

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


class CutOffError(Exception):
    """Interrupts a training."""


def freeze_training_data(
    context: AppContext, *, patients: int = 10, is_drawn: bool = True, base: int = 0
) -> DatasetSnapshot:
    """A snapshot with `patients` of each finding in train and in validation, one image each."""
    phantoms = [
        Phantom(
            FINDINGS[n % 2],
            seed=n + (1000 if split is Split.TRAIN else 0),
            split=split,
            origin="public" if n < base else "site",
        )
        for split in (Split.TRAIN, Split.VALIDATION)
        for n in range(2 * patients)
    ]
    return freeze_phantoms(context, phantoms, is_drawn=is_drawn)


def train(
    context: AppContext,
    snapshot: DatasetSnapshot,
    production: ModelVersion,
    progress: Callable[[TrainingProgress], None] = lambda step: None,
) -> ModelVersion:
    return train_candidate(
        context, snapshot=snapshot, production=production, name="night-7", progress=progress
    )


@pytest.mark.tensorflow
def test_candidate_starts_from_production_and_continues_after_an_interruption(
    context: AppContext, production: ModelVersion
) -> None:
    snapshot = freeze_training_data(context, base=4)
    folder = context.settings.data_dir / "networks" / "night-7"
    steps: list[TrainingProgress] = []

    def cancel(step: TrainingProgress) -> None:
        steps.append(step)
        if step.stage == "export":
            raise CutOffError

    with pytest.raises(CutOffError):
        train(context, snapshot, production, cancel)
    assert not folder.exists()
    assert {step.stage for step in steps} == {"read", "features", "head", "export"}

    steps.clear()
    made = train(context, snapshot, production, steps.append)
    assert {step.stage for step in steps} == {"read", "resume", "export", "evaluate"}
    assert steps[-1].share == pytest.approx(1)
    with context.sessions() as session:
        assert live_version(session).id == production.id
    assert version_path(made, data_dir=context.settings.data_dir) == folder
    assert [path.name for path in folder.parent.iterdir()] == ["night-7"], "checkpoints are removed"

    check_card(made, snapshot)
    words = " ".join((folder / "MODEL_CARD.md").read_text().split())
    assert "Training started from baseline-2 and trained the head only" in words
    assert "kept from baseline-2" in words
    check_answers(folder)
    steps.clear()
    assert train(context, snapshot, production, steps.append).id == made.id
    assert not steps, "a finished version is only registered"


def check_card(version: ModelVersion, snapshot: DatasetSnapshot) -> None:
    card = version.card
    assert card["snapshot"] == {"id": snapshot.id, "digest": snapshot.digest}
    assert card["started_from"] == {"version": "baseline-2"}
    assert card["mode"] == "head"
    assert card["config"]["epochs"] == 0
    assert card["mixture"]["site_images"] == 16
    assert card["mixture"]["base_images"] == 4
    assert card["population"].endswith("Since then, 16 labelled images of this site.")
    assert card["familiarity"]["guard"] == "kept", "40 images are too few to fit one"
    assert is_guard_of(card, snapshot.digest)
    assert not is_guard_of(card, "another")
    assert not is_guard_of(load_card(BASELINE).raw, snapshot.digest)


def check_answers(folder: Path) -> None:
    """The head was trained; trunk and guard are those of production."""
    images = np.stack([draw_phantom(seed=n, finding="normal", size=(224, 224)) for n in range(4)])
    old, new = Predictor.open(), Predictor.open(folder)
    before, after = old.engine.infer(images), new.engine.infer(images)
    np.testing.assert_allclose(after.features, before.features, atol=1e-4)
    moved = np.abs(after.logits - before.logits)
    assert (moved > 1e-3).all()
    assert (moved < 2).all(), "training continues from the old head"
    kept = Guard.load(folder / FAMILIARITY_FILE)
    thumbnails = appearance(images)
    unfamiliar = kept.unfamiliarity(thumbnails, after.features)
    np.testing.assert_allclose(unfamiliar, old.guard.unfamiliarity(thumbnails, before.features))


def test_too_few_patients_are_reported_before_reading(
    context: AppContext, production: ModelVersion
) -> None:
    snapshot = freeze_training_data(context, patients=9, is_drawn=False)
    with pytest.raises(NotEnoughImagesError) as caught:
        train(context, snapshot, production)
    assert str(caught.value) == "9 patients with pneumonia to train on, 10 are needed"


def test_origin_with_one_class_is_left_out(context: AppContext) -> None:
    """A network would learn to tell the collection."""
    phantoms = [
        Phantom(finding, seed=100 * n + place, split=split, origin=origin)
        for place, (split, origin) in enumerate(
            [(Split.TRAIN, "site"), (Split.VALIDATION, "site"), (Split.TRAIN, "only ill")]
        )
        for n in range(10)
        for finding in (("pneumonia",) if origin == "only ill" else FINDINGS)
    ]
    snapshot = freeze_phantoms(context, phantoms, is_drawn=True)
    data = read_training_data(context, snapshot.id, progress=lambda step: None)
    assert data.one_class_origins == ["only ill"]
    assert len(data.training) == len(data.sha256s) == len(data.is_site) == 20
    assert set(data.training.strata) == {"site"}


def test_what_is_left_out_is_named_where_too_little_is_left(context: AppContext) -> None:
    phantoms = [
        Phantom(finding, seed=n, split=split, origin=finding)
        for split in (Split.TRAIN, Split.VALIDATION)
        for n in range(10)
        for finding in FINDINGS
    ]
    snapshot = freeze_phantoms(context, phantoms, is_drawn=False)
    with pytest.raises(NotEnoughImagesError) as caught:
        read_training_data(context, snapshot.id, progress=lambda step: None)
    assert str(caught.value) == (
        "0 patients with pneumonia to train on, 10 are needed; "
        "normal is left out, since only normal is known of it; "
        "pneumonia is left out, since only pneumonia is known of it"
    )


def test_missing_image_is_named_by_its_hash(context: AppContext, production: ModelVersion) -> None:
    snapshot = freeze_training_data(context, is_drawn=False)
    named = r"network input [0-9a-f]{12}, preprocessing .+, is no longer in the file store"
    with pytest.raises(MissingInputError, match=named):
        train(context, snapshot, production)
    with context.sessions() as session:
        ((area, name),) = list_damage(session)
        lost = {image.sha256 for image in snapshot_images(session, snapshot.id)}
    assert (area, name in lost) == ("inputs", True)


def test_folder_trained_on_other_images_is_refused(
    context: AppContext, production: ModelVersion
) -> None:
    snapshot = freeze_training_data(context, is_drawn=False)
    shutil.copytree(BASELINE, context.settings.data_dir / "networks" / "night-7")
    with pytest.raises(ForeignFolderError, match="trained on other images"):
        train(context, snapshot, production)


def test_overtaken_worker_registers_the_version_of_the_other(
    context: AppContext, production: ModelVersion
) -> None:
    snapshot = freeze_training_data(context, is_drawn=False)
    with context.sessions() as session:
        for image in snapshot_images(session, snapshot.id):
            black = np.zeros((224, 224), np.uint8)
            context.store.put_network_input(image.sha256, PREPROCESSING, black)
    folder = context.settings.data_dir / "networks" / "night-7"

    def overtake(step: TrainingProgress) -> None:
        if not folder.exists():
            make_version(folder, snapshot={"digest": snapshot.digest})

    made = train(context, snapshot, production, overtake)
    assert made.name == "night-7"
    assert version_path(made, data_dir=context.settings.data_dir) == folder
