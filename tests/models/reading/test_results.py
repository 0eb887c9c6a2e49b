"""Results as scripts see them, and studies' answers."""

from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from models.config.settings import Settings
from models.intake.claims import claim_images
from models.intake.images import NewImage, add_images
from models.learning.promotion import set_production
from models.reading import results as results_module
from models.reading import studies as studies_module
from models.reading.predictions import record_predictions
from models.reading.studies import NewStudy, StudyPage, get_or_create_studies
from models.tables.intake import Image, ModelVersion, State
from models.tables.worklist import StudyFinding
from models.worklist.order import Listing
from models.worklist.summaries import summarise
from pipeline.errors import Reason, RefusalCode
from pipeline.types import OperatingPoint, Prediction
from tests.support.data.rows import a_hash, a_job, a_prediction, a_version, an_image, some_images
from tests.support.servers.databases import both_databases

NORMAL = a_prediction(probability=0.1, finding="normal")
STRANGE = a_prediction(probability=0.99, finding=None, reason="unlike a chest radiograph")
SENSITIVE = a_prediction(probability=0.3, threshold=0.2, operating_point="sensitive")

# With the balanced operating point set.
iter_results = partial(results_module.iter_results, operating_point="balanced")
list_results = partial(results_module.list_results, operating_point="balanced")
get_study = partial(studies_module.get_study, operating_point="balanced")


def list_studies(session: Session, *, page_size: int = 50, **listing: Any) -> StudyPage:
    return studies_module.list_studies(
        session, Listing(**listing), operating_point="balanced", page_size=page_size
    )


def predict(session: Session, version: ModelVersion, predictions: dict[int, Prediction]) -> None:
    claim = claim_images(session, State.READY, Settings(chunk_size=1000))
    by_hash = {image.sha256: predictions[image.id] for image in claim.images}
    record_predictions(session, claim, by_hash, model_version_id=version.id, engine="a test")


def a_study(session: Session, name: str, images: list[Image]) -> int:
    ids = get_or_create_studies(session, [NewStudy(a_hash(name), None, name)])
    for image in images:
        image.study_id = ids[a_hash(name)]
    session.flush()
    summarise(session, ids.values())
    return ids[a_hash(name)]


def test_iter_results_has_a_line_for_every_state(session: Session) -> None:
    job, version = a_job(session), a_version(session)
    done, strange = (an_image(session, job, state=State.READY) for _ in range(2))
    predict(session, version, {done.id: a_prediction(inside_body=0.6), strange.id: STRANGE})
    an_image(session, job, file="a/waits.png")
    refused = Reason(RefusalCode.NOT_AN_IMAGE, "no image")
    text = NewImage("a/text.txt", a_hash("x"), 1, refused=refused)
    add_images(session, job_id=job.id, new=[text])
    predicted, unfamiliar, received, rejected = iter_results(session, job_id=job.id)
    assert (predicted.status, predicted.finding) == ("predicted", "pneumonia")
    assert (predicted.probability, predicted.threshold) == (0.9, 0.5)
    assert (predicted.reason, predicted.model_version) == (None, "v1")
    assert (predicted.temperature, predicted.heatmap_peak) == (1.5, 3.0)
    assert (predicted.heatmap_concentration, predicted.heatmap_inside_body) == (0.2, 0.6)
    assert (unfamiliar.status, unfamiliar.finding) == ("predicted", None)
    assert unfamiliar.reason == "unlike a chest radiograph"
    assert (received.status, received.probability) == ("received", None)
    assert (received.model_version, received.operating_point) == (None, None)
    assert (received.temperature, received.heatmap_peak) == (None, None)
    assert (rejected.status, rejected.reason) == ("rejected", "text.txt: no image")


@both_databases
def test_iter_results_streams_several_pages_in_order(session: Session) -> None:
    images = some_images(session, results_module.PAGE_SIZE + 5)
    some_images(session, 3)
    found = [result.image_id for result in iter_results(session, job_id=images[0].job_id)]
    everything = list(iter_results(session))
    assert found == [image.id for image in images]
    assert len(everything) == results_module.PAGE_SIZE + 8


def test_list_results_filters_by_state(session: Session) -> None:
    job = a_job(session)
    some_images(session, 5, job=job, state=State.REJECTED)
    some_images(session, 4, job=job, state=State.READY)
    page = list_results(session, job_id=job.id, state=State.REJECTED, page=2, page_size=3)
    assert ([result.status for result in page.items], page.total) == (["rejected"] * 2, 5)


@both_databases
def test_shown_prediction_is_of_production_else_the_newest(session: Session) -> None:
    old, new = a_version(session), a_version(session, name="v2", is_live=False)
    job = a_job(session)
    both, only_old = (an_image(session, job, state=State.READY) for _ in range(2))
    predict(session, old, {both.id: a_prediction(), only_old.id: a_prediction()})
    read_again(session, new, both, NORMAL)
    assert [result.model_version for result in iter_results(session)] == ["v1", "v1"]
    set_production(session, new, reason="better")
    assert [result.model_version for result in iter_results(session)] == ["v2", "v1"]


def read_again(session: Session, version: ModelVersion, image: Image, answer: Prediction) -> None:
    session.refresh(image)
    image.state = State.READY
    session.flush()
    predict(session, version, {image.id: answer})


def test_shown_prediction_is_at_the_configured_operating_point(session: Session) -> None:
    """Also if the other point's prediction is newer."""

    def shown(point: OperatingPoint) -> tuple[str | None, float | None, str | None]:
        (result,) = results_module.iter_results(session, operating_point=point)
        return result.operating_point, result.threshold, result.finding

    version = a_version(session)
    image = an_image(session, a_job(session), state=State.READY)
    predict(session, version, {image.id: NORMAL})
    assert shown("sensitive") == ("balanced", 0.5, "normal")
    read_again(session, version, image, SENSITIVE)
    assert shown("balanced") == ("balanced", 0.5, "normal")
    assert shown("sensitive") == ("sensitive", 0.2, "pneumonia")


def test_image_above_its_threshold_sorts_before_a_likelier_one(session: Session) -> None:
    """Thresholds differ between operating points; probability and threshold stay one image's."""
    likelier, suspected = some_images(session, 2, state=State.READY)
    a_study(session, "one", [likelier, suspected])
    version = a_version(session)
    answers = {likelier.id: replace(NORMAL, probability=0.4), suspected.id: SENSITIVE}
    predict(session, version, answers)
    (summary,) = list_studies(session).items
    detail = get_study(session, summary.id)
    assert detail is not None
    assert detail.summary == summary
    assert (summary.finding, summary.probability, summary.threshold) == ("pneumonia", 0.3, 0.2)
    assert summary.operating_point == "sensitive"
    assert [image.image_id for image in detail.images] == [suspected.id, likelier.id]


def test_list_studies_of_a_job_counts_only_its_images(session: Session) -> None:
    (mine,) = some_images(session, 1, state=State.READY)
    (other,) = some_images(session, 1, state=State.READY)
    a_study(session, "shared", [mine, other])
    predict(session, a_version(session), {mine.id: NORMAL, other.id: a_prediction()})
    (summary,) = list_studies(session, job_id=mine.job_id).items
    assert (summary.finding, summary.images) == ("normal", 1)
    assert summary.first is not None
    assert summary.first.image_id == mine.id


@both_databases
def test_study_finding_is_of_its_most_suspicious_image(session: Session) -> None:
    images = some_images(session, 4, state=State.READY)
    answers = [NORMAL, a_prediction(probability=0.8), STRANGE, NORMAL]
    study_id = a_study(session, "one", images)
    predictions = {image.id: answer for image, answer in zip(images, answers, strict=True)}
    predict(session, a_version(session), predictions)
    detail = get_study(session, study_id)
    assert detail is not None
    assert (detail.summary.finding, detail.summary.probability) == ("pneumonia", 0.8)
    assert (detail.summary.images, detail.summary.predicted) == (4, 4)
    assert [image.image_id for image in detail.images] == [
        images[number].id for number in (1, 0, 3, 2)
    ]


@both_databases
def test_list_studies_sorts_filters_and_pages(session: Session) -> None:
    job, other = a_job(session), a_job(session)
    predictions = {}
    for number in range(5):
        (image,) = some_images(session, 1, state=State.READY, job=job)
        a_study(session, f"folder {number}", [image])
        share = number / 10
        predictions[image.id] = replace(
            a_prediction(probability=share), finding="pneumonia" if share > 0.2 else "normal"
        )
    (waiting,) = some_images(session, 1, job=other)
    a_study(session, "waiting", [waiting])
    (strange,) = some_images(session, 1, state=State.READY, job=job)
    a_study(session, "strange", [strange])
    predict(session, a_version(session), predictions | {strange.id: STRANGE})

    highest = list_studies(session, page_size=2)
    assert [study.probability for study in highest.items] == [0.4, 0.3]
    assert (highest.total, highest.after) == (7, highest.items[-1].id)
    lowest = list_studies(session, descending=False)
    assert [study.probability for study in lowest.items] == [0.0, 0.1, 0.2, 0.3, 0.4, None, None]
    assert list_studies(session, finding=StudyFinding.PNEUMONIA).total == 2
    assert list_studies(session, finding=StudyFinding.NORMAL).total == 3
    without = list_studies(session, finding=StudyFinding.NONE).items
    assert {study.label: study.threshold for study in without} == {"waiting": None, "strange": None}
    assert list_studies(session, job_id=other.id).items[0].label == "waiting"
    by_label = list_studies(session, order="label", descending=False)
    assert [study.label for study in by_label.items[:2]] == ["folder 0", "folder 1"]


@both_databases
def test_get_or_create_studies_creates_each_once(session: Session) -> None:
    study = NewStudy(a_hash("one"), a_hash("patient"))
    first = get_or_create_studies(session, [study, study])
    assert get_or_create_studies(session, [study]) == first
    assert get_or_create_studies(session, []) == {}
