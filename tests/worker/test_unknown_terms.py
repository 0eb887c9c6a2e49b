"""An unknown word from the file to the admins' list, and back to the decoders with its meaning."""

import logging
from pathlib import Path

import pytest

from models.base import now
from models.context import AppContext
from models.files.purge import purge_step
from models.intake.terms import list_terms, set_meaning
from models.tables.intake import Image, Job, State
from models.tables.terms import Meaning
from tests.support.data.uploads import a_dicom
from tests.worker.conftest import Ingest

WARNING = "Body Part Examined (0018,0015) is not a known term; judged by the image"


def film(tmp_path: Path, patient: str, **attributes: str) -> bytes:
    return a_dicom(tmp_path, PatientID=patient, **attributes)


def test_unknown_word_is_counted_and_gets_a_meaning(
    context: AppContext, ingest: Ingest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    word = {"BodyPartExamined": "SNARK"}
    files = {f"{name}.dcm": film(tmp_path, name, **word) for name in ("a", "bb", "ccc")}
    images = ingest(files)
    assert {image.state for image in images} == {State.READY}
    assert [image.warnings for image in images] == [[WARNING]] * 3
    assert "SNARK" not in repr([vars(image) for image in images]) + caplog.text
    with context.sessions.begin() as session:
        (term,) = list_terms(session)
        assert (term.keyword, term.value, term.images) == ("BodyPartExamined", "SNARK", 3)
        set_meaning(session, term.id, Meaning.FITTING)
    *_, fitting = ingest({"dddd.dcm": film(tmp_path, "dddd", **word)})
    assert (fitting.state, fitting.warnings) == (State.READY, [])
    with context.sessions.begin() as session:
        set_meaning(session, term.id, Meaning.OTHER)
    *_, other = ingest({"eeeee.dcm": film(tmp_path, "eeeee", **word)})
    assert other.state == State.REJECTED
    assert "on this service's list of other words" in (other.reason or "")


def test_purge_forgets_unknown_words(
    context: AppContext, ingest: Ingest, job: Job, tmp_path: Path
) -> None:
    names = ("a", "bb", "ccc")
    ingest({f"{name}.dcm": film(tmp_path, name, ViewPosition="SNARK") for name in names})
    with context.sessions.begin() as session:
        assert [term.value for term in list_terms(session)] == ["SNARK"]
        for image in session.query(Image):
            image.state, image.finished_at = State.PREDICTED, now()
        session.get_one(Job, job.id).closed_at = now()
    purge_step(context.sessions, context.store, job.id, user_id=None)
    with context.sessions() as session:
        assert list_terms(session) == []
