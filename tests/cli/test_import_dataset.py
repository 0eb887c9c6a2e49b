"""`overread import-dataset`: what is in the database afterwards, and what people are told."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image as Picture
from sqlalchemy import func, select

from cli.dataset_folder import open_dataset
from cli.fatal import Failed
from cli.importing import _Import, import_dataset
from cli.main import main
from models.audit import list_audit
from models.datasets import NewImage
from models.jobs import close_job
from models.labels import effective_labels
from models.learning_tables import ImportedDataset, ImportedImage, Label, LabelValue, Source, Split
from models.orphans import find_orphans
from models.purge_steps import purge_step
from models.tables import State
from pipeline.leakage import Leak
from pipeline.network_input import PREPROCESSING
from pipeline.phantom import draw_phantom
from pipeline.pseudonym import patient_pseudonym
from pipeline.split import assign_split
from tests.builders import make_dicom, make_picture
from tests.processes import hearing_ctrl_c
from tests.rows import a_job, an_image
from worker.doors import Doors
from worker.snapshot import take_snapshot

ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
TRAIN, VALIDATION, TEST = Split.TRAIN, Split.VALIDATION, Split.TEST


def write(path: Path, *, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8)
    Picture.fromarray(noise).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One image of each split and label, each of its own patient."""
    folder, seed = tmp_path / "public", 0
    for split in ("train", "val", "test"):
        for label in ("NORMAL", "PNEUMONIA"):
            write(folder / split / label / f"person{seed}_virus_{seed}.png", seed=seed)
            seed += 1
    return folder


def run(folder: Path, doors: Doors, *, name: str | None = None) -> bool:
    settings = doors.settings.model_copy(update={"decode_processes": 1})
    return import_dataset(folder, name=name, settings=settings)


def rows(doors: Doors) -> dict[str, ImportedImage]:
    with doors.sessions() as session:
        return {row.file: row for row in session.scalars(select(ImportedImage))}


def report(doors: Doors, name: str = "public") -> dict[str, object]:
    with doors.sessions() as session:
        found = session.scalars(select(ImportedDataset).filter_by(name=name)).one()
        return found.report


def count(doors: Doors, table: type[ImportedImage] | type[Label]) -> int:
    with doors.sessions() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_set_keeps_its_own_splits_and_twice_changes_nothing(
    doors: Doors, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, doors)

    found = rows(doors)
    assert {file: row.split for file, row in found.items()} == {
        "train/NORMAL/person0_virus_0.png": TRAIN,
        "train/PNEUMONIA/person1_virus_1.png": TRAIN,
        "val/NORMAL/person2_virus_2.png": VALIDATION,
        "val/PNEUMONIA/person3_virus_3.png": VALIDATION,
        "test/NORMAL/person4_virus_4.png": TEST,
        "test/PNEUMONIA/person5_virus_5.png": TEST,
    }
    key = doors.secrets.identity_key
    one = found["val/PNEUMONIA/person3_virus_3.png"]
    assert one.patient_hash == patient_pseudonym(key, "person3")
    assert doors.store.has_network_input(one.sha256, PREPROCESSING)
    with doors.sessions() as session:
        label = effective_labels(session)[one.sha256]
        row = session.get_one(Label, label.label_id)
    assert (label.value, label.role, label.reader) == (
        LabelValue.PNEUMONIA,
        None,
        "dataset public",
    )
    assert (row.source, row.dataset_id) == (Source.DATASET, one.dataset_id)
    told = capsys.readouterr().out
    assert "public: 6 images of 6 patients (3 pneumonia, 3 normal), imported." in told
    assert "Leaks between the splits: none found." in told
    assert "1 with pneumonia and 1 with normal images, and it takes 30 of each" in told

    kept = report(doors)
    assert run(folder, doors)
    assert "public: nothing new; all 6 images were there before." in capsys.readouterr().out
    assert rows(doors).keys() == found.keys()
    assert (count(doors, Label), report(doors)) == (6, kept)
    with doors.sessions() as session:
        audited = [(row.action, row.target) for row in list_audit(session)]
    assert audited == [("dataset.imported", "public")]


@ON_SQLITE
def test_what_is_new_or_labelled_anew_is_added(
    doors: Doors, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder, doors)
    write(folder / "test" / "NORMAL" / "person9_virus_9.png", seed=9)
    moved = folder / "train" / "NORMAL" / "person0_virus_0.png"
    moved.rename(folder / "val" / "PNEUMONIA" / moved.name)
    run(folder, doors)

    told = capsys.readouterr().out
    assert "public: 1 new image and 1 changed label; now 7 images" in told
    assert "1 image in another split now than when imported" in told
    row = rows(doors)["train/NORMAL/person0_virus_0.png"]
    assert row.split == TRAIN
    with doors.sessions() as session:
        assert effective_labels(session)[row.sha256].value == LabelValue.PNEUMONIA
    assert count(doors, Label) == 8, "none is edited"


@ON_SQLITE
def test_under_another_name_images_stay_with_their_first_set(
    doors: Doors, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder, doors)
    run(folder, doors, name="again")
    assert "again: nothing to import." in capsys.readouterr().out
    write(folder / "test" / "NORMAL" / "person9_virus_9.png", seed=9)
    run(folder, doors, name="again")
    assert "6 images came with the set public before and stay there." in capsys.readouterr().out
    assert report(doors, "again")["elsewhere"] == {"public": 6}
    assert count(doors, ImportedImage) == 7


@ON_SQLITE
def test_copies_count_once_and_what_contradicts_itself_or_cannot_be_read_not_at_all(
    doors: Doors, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learned = folder / "train" / "NORMAL" / "person0_virus_0.png"
    shutil.copy(learned, folder / "test" / "NORMAL" / "person0_virus_7.png")
    shutil.copy(
        folder / "val" / "NORMAL" / "person2_virus_2.png",
        folder / "val" / "PNEUMONIA" / "person2_virus_8.png",
    )
    (folder / "train" / "NORMAL" / "notes.txt").write_text("no picture")
    assert not run(folder, doors)

    found = rows(doors)
    assert found["test/NORMAL/person0_virus_7.png"].split == TEST
    assert len(found) == 5
    assert not any("person2" in file for file in found)
    told, complaints = capsys.readouterr()
    assert "train/NORMAL/notes.txt: " in complaints
    assert report(doors)["refused"] == 1
    assert "1 picture had copies in several splits" in told
    assert "under both NORMAL and PNEUMONIA left out: val/NORMAL/person2_virus_2.png" in told


@ON_SQLITE
def test_planted_leaks_are_reported_and_kept_out_of_snapshots(
    doors: Doors, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tested = folder / "test" / "NORMAL" / "person4_virus_4.png"
    train = folder / "train" / "NORMAL"
    Picture.open(tested).save(train / "person50_virus_1.tif")  # the same pixels, other bytes
    film = Picture.fromarray(draw_phantom(seed=1, finding="normal", size=(224, 224)))
    film.save(folder / "test" / "NORMAL" / "person51_virus_1.png")
    film.point(lambda level: int(level * 0.9)).save(train / "person52_virus_1.jpeg", quality=60)
    write(train / "person5_virus_99.png", seed=77)  # a patient who is in test, too
    for split in ("train", "test"):
        path = folder / split / "NORMAL" / f"{split}.dcm"
        pixels = make_picture(96 if split == "test" else 120)
        make_dicom(path, pixels, StudyInstanceUID="1.2.3", PatientID=f"of {split}")
    run(folder, doors)

    leaks = report(doors)["leaks"]
    assert isinstance(leaks, dict)
    assert leaks["images"] == 4
    counts = {kind: found["images"] for kind, found in leaks["kinds"].items()}
    assert counts == {"patient": 1, "study": 1, "pixels": 1, "near": 1}
    told = capsys.readouterr().out
    assert "4 images will be kept out of snapshots on the training side." in told
    assert "1 image of train kept out: nearly the same picture is also in test." in told
    snapshot = take_snapshot(doors)
    assert snapshot.report["leaks"]["images"] == 4
    assert snapshot.report["images"] == len(rows(doors)) - 4


@ON_SQLITE
def test_dicom_says_patient_and_study(doors: Doors, tmp_path: Path) -> None:
    folder = tmp_path / "dicom"
    (folder / "NORMAL").mkdir(parents=True)
    for name in "ab":
        pixels = make_picture(90 if name == "a" else 130)
        make_dicom(folder / "NORMAL" / name, pixels, PatientID="P1", StudyInstanceUID="1.2.3")
    run(folder, doors)
    first, second = rows(doors).values()
    assert first.patient_hash == second.patient_hash
    assert first.patient_hash == patient_pseudonym(doors.secrets.identity_key, "P1")
    assert first.study_hash == second.study_hash is not None
    assert first.split == second.split == assign_split(first.patient_hash)


class PurgedImport(_Import):
    """Imports as any; at its last look at the images a purge takes one that a job had, too."""

    def _leaks(self, images: Sequence[NewImage]) -> list[Leak]:
        found = super()._leaks(images)
        with self.doors.sessions.begin() as session:
            job = a_job(session)
            close_job(session, job.id)
            row = an_image(session, job, state=State.REJECTED)
            row.sha256 = images[0].sha256
        purge_step(self.doors.sessions, self.doors.store, job.id, user_id=None)
        return found


def test_what_a_purge_takes_meanwhile_is_made_anew(folder: Path, doors: Doors) -> None:
    small = replace(doors, settings=doors.settings.model_copy(update={"decode_processes": 1}))
    with pytest.raises(Failed, match="what the network reads of 1 images"):
        PurgedImport(small, "public", open_dataset(folder)).run()
    assert rows(doors) == {}
    assert run(folder, doors)
    assert len(rows(doors)) == 6
    assert find_orphans(doors.sessions, doors.store) == []


FILES = 400  # enough that a busy machine does not import them all before it is interrupted


@ON_SQLITE
def test_an_interrupted_import_shows_nothing_and_goes_on(doors: Doors, tmp_path: Path) -> None:
    folder = tmp_path / "public"
    for seed in range(FILES):
        write(folder / "NORMAL" / f"person{seed}_virus_1.png", seed=seed)
    typed = [sys.executable, "-m", "cli", "import-dataset", str(folder)]
    environment = {
        "OVERREAD_DATA": str(doors.settings.data_dir),
        "OVERREAD_DECODE_PROCESSES": "1",
        "PATH": "/usr/bin:/bin",
    }
    with hearing_ctrl_c():
        running = subprocess.Popen(typed, env=environment, stderr=subprocess.PIPE, text=True)
    inputs = doors.store.root / "inputs"
    while running.poll() is None and len(list(inputs.glob("*/*/*"))) < 20:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=30)

    assert (running.returncode, told.splitlines()[-1]) == (
        130,
        "Error: interrupted; the same command goes on where this one was",
    )
    assert count(doors, ImportedImage) == 0
    made = {path.name: path.stat().st_mtime_ns for path in inputs.glob("*/*/*")}
    assert 20 <= len(made) < FILES
    assert run(folder, doors)
    assert (count(doors, ImportedImage), count(doors, Label)) == (FILES, FILES)
    again = {path.name: path.stat().st_mtime_ns for path in inputs.glob("*/*/*")}
    assert made.items() <= again.items(), "what was made is not made again"


@pytest.mark.parametrize(
    ("made", "name", "complaint"),
    [
        ("elsewhere", None, "no such folder"),
        ("set/other", None, "expected folders NORMAL and PNEUMONIA, or train, val, test"),
        ("set/NORMAL", "site", "'site' is no name for a set"),
        ("set/NORMAL", "=1+1", "is no name for a set"),
        ("set/NORMAL", None, "there is no labelled image in it"),
    ],
)
def test_what_cannot_be_imported_is_one_line(
    tmp_path: Path, made: str, name: str | None, complaint: str
) -> None:
    (tmp_path / made).mkdir(parents=True)
    arguments = ["import-dataset", str(tmp_path / "set"), *(["--name", name] if name else [])]
    environment = {"OVERREAD_DATA": str(tmp_path / "data")}
    result: Result = CliRunner(env=environment).invoke(main, arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert complaint in result.stderr
