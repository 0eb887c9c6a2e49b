"""Imports of labelled data sets: rows, files and what the command prints."""

import hashlib
import shutil
from pathlib import Path

import pytest
from PIL import Image as Picture

from cli.learn.import_dataset import describe_import
from models.audit.log import list_audit
from models.context import AppContext
from models.files.orphans import find_orphans
from models.files.purge import purge_step
from models.intake.jobs import close_job
from models.learning.labels import valid_labels
from models.tables.intake import State
from models.tables.learning import ImportedImage, Label, LabelValue, Source
from pipeline.phantom.drawing import draw_phantom
from pipeline.pseudonym import patient_pseudonym
from pipeline.training.data.splits import assign_split
from pipeline.types import PREPROCESSING, Split
from tests.support.data.builders import make_dicom, make_picture
from tests.support.data.imports import count, report, rows, run, write, write_public_set
from tests.support.data.rows import a_job, an_image
from worker.datasets.import_dataset import ImportEvents, ImportFailedError
from worker.datasets.report import ImportReport
from worker.night.snapshot import take_snapshot

ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
TRAIN, VALIDATION, TEST = Split.TRAIN, Split.VALIDATION, Split.TEST


def described(found: ImportReport, name: str = "public") -> str:
    return "\n".join(describe_import(name, found, min_patients=30))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_public_set(tmp_path / "public")


def test_import_keeps_splits_and_repeating_it_changes_nothing(
    context: AppContext, folder: Path
) -> None:
    lines = described(run(folder, context))

    found = rows(context)
    assert {file: row.split for file, row in found.items()} == {
        "train/NORMAL/person0_virus_0.png": TRAIN,
        "train/PNEUMONIA/person1_virus_1.png": TRAIN,
        "val/NORMAL/person2_virus_2.png": VALIDATION,
        "val/PNEUMONIA/person3_virus_3.png": VALIDATION,
        "test/NORMAL/person4_virus_4.png": TEST,
        "test/PNEUMONIA/person5_virus_5.png": TEST,
    }
    key = context.secrets.identity_key
    one = found["val/PNEUMONIA/person3_virus_3.png"]
    assert one.patient_hash == patient_pseudonym(key, "person3")
    assert context.store.has_network_input(one.sha256, PREPROCESSING)
    with context.sessions() as session:
        label = valid_labels(session)[one.sha256]
        row = session.get_one(Label, label.label_id)
    assert (label.value, label.role, label.reader) == (LabelValue.PNEUMONIA, None, "dataset public")
    assert (row.source, row.dataset_id) == (Source.DATASET, one.dataset_id)
    assert "public: 6 images of 6 patients (3 pneumonia, 3 normal), imported." in lines
    assert "Leaks between the splits: none found." in lines
    assert "1 with pneumonia and 1 with normal images; 30 of each are needed" in lines

    kept = report(context)
    lines = described(run(folder, context))
    assert "public: nothing new; all 6 images were imported before." in lines
    assert rows(context).keys() == found.keys()
    assert (count(context, Label), report(context)) == (6, kept)
    with context.sessions() as session:
        audited = [(row.action, row.target) for row in list_audit(session)]
    assert audited == [("dataset.imported", "public")]


@ON_SQLITE
def test_import_adds_new_images_and_changed_labels(context: AppContext, folder: Path) -> None:
    run(folder, context)
    write(folder / "test" / "NORMAL" / "person9_virus_9.png", seed=9)
    moved = folder / "train" / "NORMAL" / "person0_virus_0.png"
    moved.rename(folder / "val" / "PNEUMONIA" / moved.name)
    lines = described(run(folder, context))

    assert "public: 1 new image and 1 changed label; now 7 images" in lines
    assert "1 image moved to another split since the import" in lines
    row = rows(context)["train/NORMAL/person0_virus_0.png"]
    assert row.split == TRAIN
    with context.sessions() as session:
        assert valid_labels(session)[row.sha256].value == LabelValue.PNEUMONIA
    assert count(context, Label) == 8, "none is edited"


@ON_SQLITE
def test_images_stay_with_the_data_set_that_had_them_first(
    context: AppContext, folder: Path
) -> None:
    run(folder, context)
    lines = described(run(folder, context, name="again"), "again")
    assert "again: nothing to import." in lines
    write(folder / "test" / "NORMAL" / "person9_virus_9.png", seed=9)
    lines = described(run(folder, context, name="again"), "again")
    assert "6 images already imported with the data set public stay there." in lines
    assert report(context, "again")["elsewhere"] == {"public": 6}
    assert count(context, ImportedImage) == 7


@ON_SQLITE
def test_copies_count_once_and_contradictory_or_unreadable_files_are_ignored(
    context: AppContext, folder: Path
) -> None:
    learned = folder / "train" / "NORMAL" / "person0_virus_0.png"
    shutil.copy(learned, folder / "test" / "NORMAL" / "person0_virus_7.png")
    shutil.copy(
        folder / "val" / "NORMAL" / "person2_virus_2.png",
        folder / "val" / "PNEUMONIA" / "person2_virus_8.png",
    )
    (folder / "train" / "NORMAL" / "notes.txt").write_text("no picture")
    refused: list[str] = []
    events = ImportEvents(refused=lambda one: refused.append(one.file))
    lines = described(run(folder, context, events=events))

    found = rows(context)
    assert found["test/NORMAL/person0_virus_7.png"].split == TEST
    assert len(found) == 5
    assert not any("person2" in file for file in found)
    assert refused == ["train/NORMAL/notes.txt"]
    assert report(context)["refused"] == 1
    assert "1 image had copies in several splits" in lines
    assert (
        "1 copy of other images not counted: "
        "test/NORMAL/person0_virus_7.png = train/NORMAL/person0_virus_0.png" in lines
    )
    assert (
        "1 image with contradictory labels left out: "
        "val/NORMAL/person2_virus_2.png = val/PNEUMONIA/person2_virus_8.png" in lines
    )
    assert report(context)["copies"] == report(context)["contradictory"] == 1


@ON_SQLITE
def test_import_of_a_table_states_patients_and_splits(context: AppContext, tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.png", seed=number)
    table = tmp_path / "ward.csv"
    table.write_text(
        "File;Label;Patient ID;Split\n0.png;normal;P1;train\n1.png;1,0;P2;test\n"
        "2.png;0;1,2E+11;test\n"
    )
    found = run(table, context, name="ward")
    key = context.secrets.identity_key
    first = patient_pseudonym(key, "P1")
    drawn = TRAIN if assign_split(first) is TRAIN else VALIDATION  # by this installation's key
    assert {file: (row.split, row.patient_hash) for file, row in rows(context).items()} == {
        "0.png": (drawn, first),
        "1.png": (TEST, patient_pseudonym(key, "P2")),
    }
    assert [one.file for one in found.refused] == ["ward.csv, row 4: 2.png"]


@ON_SQLITE
def test_leaks_are_reported_and_left_out_of_snapshots(context: AppContext, folder: Path) -> None:
    tested = folder / "test" / "NORMAL" / "person4_virus_4.png"
    train = folder / "train" / "NORMAL"
    Picture.open(tested).save(train / "person50_virus_1.tif")  # the same pixels, other bytes
    drawn = Picture.fromarray(draw_phantom(seed=1, finding="normal", size=(224, 224)))
    drawn.save(folder / "test" / "NORMAL" / "person51_virus_1.png")
    drawn.point(lambda level: int(level * 0.9)).save(train / "person52_virus_1.jpeg", quality=60)
    write(train / "person5_virus_99.png", seed=77)  # a patient who is in test, too
    for split in ("train", "test"):
        path = folder / split / "NORMAL" / f"{split}.dcm"
        pixels = make_picture(96 if split == "test" else 120)
        make_dicom(path, pixels, StudyInstanceUID="1.2.3", PatientID=f"of {split}")
    lines = described(run(folder, context))

    leaks = report(context)["leaks"]
    assert isinstance(leaks, dict)
    assert leaks["images"] == 4
    counts = {kind: found["images"] for kind, found in leaks["kinds"].items()}
    assert counts == {"patient": 1, "study": 1, "pixels": 1, "near": 1}
    assert "4 images will be left out of snapshots on the training side." in lines
    assert "1 image of train excluded: nearly identical pixels in test." in lines
    snapshot = take_snapshot(context)
    assert snapshot.report["leaks"]["images"] == 4
    assert snapshot.report["images"] == len(rows(context)) - 4


@ON_SQLITE
def test_dicom_states_patient_and_study(context: AppContext, tmp_path: Path) -> None:
    folder = tmp_path / "dicom"
    (folder / "NORMAL").mkdir(parents=True)
    for name in "ab":
        pixels = make_picture(90 if name == "a" else 130)
        make_dicom(folder / "NORMAL" / name, pixels, PatientID="P1", StudyInstanceUID="1.2.3")
    run(folder, context)
    first, second = rows(context).values()
    assert first.patient_hash == second.patient_hash
    assert first.patient_hash == patient_pseudonym(context.secrets.identity_key, "P1")
    assert first.study_hash == second.study_hash is not None
    assert first.split == second.split == assign_split(first.patient_hash)


def test_import_fails_if_a_purge_deletes_its_inputs(context: AppContext, folder: Path) -> None:
    def purge(stage: str, done: int, total: int) -> None:
        if stage != "leaks" or done < total:
            return
        with context.sessions.begin() as session:
            job = a_job(session)
            close_job(session, job.id)
            row = an_image(session, job, state=State.REJECTED)
            learned = folder / "train" / "NORMAL" / "person0_virus_0.png"
            row.sha256 = hashlib.sha256(learned.read_bytes()).hexdigest()
        purge_step(context.sessions, context.store, job.id, user_id=None)

    with pytest.raises(ImportFailedError, match="the network inputs of 1 image"):
        run(folder, context, events=ImportEvents(progress=purge))
    assert rows(context) == {}
    run(folder, context)
    assert len(rows(context)) == 6
    assert find_orphans(context.sessions, context.store) == []
