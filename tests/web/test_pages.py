"""Every page: what it shows, its headers, and what must not be on it."""

import html
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from models.tables.intake import Image, Prediction, State
from pipeline.dicom.frontal import TEXT
from pipeline.inference.heatmap import describe_trust
from tests.support.data.builders import INVENTED_PATIENT, make_dicom
from tests.support.servers.databases import both_databases
from tests.support.web.pages import get_picture, words
from tests.support.web.portal import Portal
from web.auth.rules import open_to_all
from web.http.security import NOTICE

PAGES = [
    "/",
    "/jobs/{job}",
    "/studies",
    "/studies/1",
    "/about",
    "/labels",
    "/no",
]


def test_pages_show_the_notice_and_have_no_inline_or_external_resources(
    portal: Portal, job: str
) -> None:
    browser, nobody = portal.browser(), portal.app.test_client()
    pages = {path: browser.get(path.format(job=job)).text for path in PAGES}
    for path, page in (pages | {"/login": nobody.get("/login").text}).items():
        assert NOTICE in page, path
        for forbidden in ("<style", "style=", " onclick", "<script>", "http:", "https:", "//cdn"):
            assert forbidden not in page, (path, forbidden)


def test_patient_data_reaches_no_page_log_or_file(
    portal: Portal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    content = make_dicom(tmp_path / "a.dcm", **INVENTED_PATIENT).read_bytes()
    job = portal.new_job()
    portal.send(job, ("Testperson Invented/a.dcm", content))
    portal.read_all()
    browser = portal.browser()
    paths = [
        *(page.format(job=job) for page in PAGES),
        "/api/v1/results",
        "/api/v1/results?format=csv",
        "/api/v1/studies/1",
        f"/api/v1/jobs/{job}/images",
        "/api/v1/images/1/display",
    ]
    seen = b"".join(get_picture(browser, path).data for path in paths) + caplog.text.encode()
    seen += b"".join(file.read_bytes() for file in portal.context.store.root.rglob("*/??/*"))
    assert b"study.html" not in seen
    assert "Testperson" not in caplog.text, "file names are shown, but not logged"
    for value in INVENTED_PATIENT.values():
        assert value.encode() not in seen, value


def test_study_page_shows_probability_with_threshold_and_version(portal: Portal, job: str) -> None:
    page = portal.browser().get("/studies/1").text
    for text in ("87 %", 'href="/versions/v1"', "Pneumonia suspected", "Modality"):
        assert text in page, text
    reading = "threshold 50 %, balanced; calibrated with temperature 1.5"
    assert reading in page
    page = portal.browser().get("/studies").text
    assert f"v1: {reading}." in page
    assert page.count("threshold 50 %, balanced</span>") == 2, "beside each probability"
    with portal.database.sessions.begin() as session:
        session.execute(update(Prediction).values(population="adults"))
    for path in ("/studies/1", "/studies"):
        page = html.unescape(portal.browser().get(path).text)
        assert f"{reading}; read as an adult's" in page, path
    with portal.database.sessions.begin() as session:
        forget = {"temperature": None, "heatmap_concentration": None, "heatmap_inside_body": None}
        session.execute(update(Prediction).values(forget))
    page = portal.browser().get("/studies/1").text
    assert "threshold 50 %, balanced; calibration not recorded" in page
    assert "Heatmap reliability was not measured" in page


def test_study_page_shows_the_probability_at_the_stated_prevalence(
    portal: Portal, job: str
) -> None:
    assert "At a prevalence" not in portal.browser().get("/studies/1").text
    portal.change_settings(prevalence=0.1)
    assert "At a prevalence of 10.0%: probability 43 %." in portal.browser().get("/studies/1").text


def test_warnings_and_heatmap_reliability_are_shown(portal: Portal, a_png: bytes) -> None:
    portal.send(portal.new_job(), ("a/a.png", a_png))
    warnings = ("somewhat unlike the training images", "the image looked inverted")
    portal.read_all(warnings=warnings, inside_body=0.25)
    for path in ("/studies", "/studies/1"):
        page = portal.browser().get(path).text
        beside = page[page.index("Pneumonia suspected", page.index("<main")) :][:600]
        for warning in warnings:
            assert warning in beside, path
    assert describe_trust(peak=3.0, concentration=0.2, inside_body=0.25) in html.unescape(page)
    assert "It marks what raised the score, not a lesion." in page


def test_pages_and_results_warn_about_burned_in_text(portal: Portal, tmp_path: Path) -> None:
    dicom = make_dicom(tmp_path / "x.dcm", BurnedInAnnotation="YES").read_bytes()
    portal.send(portal.new_job(), ("x.dcm", dicom))
    portal.read_all()
    browser = portal.browser()
    assert TEXT in words(browser, "/studies/1")
    assert "Burned-in text is not removed" in words(browser, "/studies/1")
    assert "text burned into an image stays visible" in words(browser, "/about")
    assert TEXT in browser.get("/api/v1/studies/1").json["images"][0]["warnings"]
    assert TEXT in browser.get("/api/v1/results?format=csv").text


def test_study_page_marks_results_of_another_operating_point(portal: Portal, job: str) -> None:
    """From a change of the setting until the image is predicted again."""
    browser, note = portal.browser(), "The operating point in use is now sensitive."
    assert "operating point in use is now" not in browser.get("/studies/1").text
    portal.change_settings(operating_point="sensitive")
    page = browser.get("/studies/1").text
    assert "threshold 50 %, balanced" in page
    assert note in page
    with portal.database.sessions.begin() as session:
        session.execute(update(Image).values(state=State.READY))
    for image in portal.images():
        portal._predict(image.id, threshold=0.2, operating_point="sensitive")
    page = browser.get("/studies/1").text
    assert "threshold 20 %, sensitive" in page
    assert note not in page


def test_empty_work_list_gives_the_reason(portal: Portal) -> None:
    client, job = portal.browser(), portal.new_job()
    assert "No studies yet." in words(client, "/studies")
    assert "No studies with this finding." in words(client, "/studies?finding=normal")
    assert "No studies of this job have been read yet." in words(client, f"/studies?job_id={job}")


def test_out_of_distribution_is_never_shown_as_normal(portal: Portal, a_png: bytes) -> None:
    portal.send(portal.new_job(), ("strange/a.png", a_png))
    portal.read_all(probability=0.01, finding=None, reason="too strange by far")
    for path in ("/studies", "/studies/1"):
        page = portal.browser().get(path).text
        assert "No answer: out of distribution" in page
        assert "1 %" not in page
    assert "Too strange by far." in page
    assert "heatmap.png" not in page
    assert "strange" not in portal.browser().get("/studies?finding=normal").text
    assert "strange" in portal.browser().get("/studies?finding=none").text


def test_pending_study_is_not_called_out_of_distribution(portal: Portal, a_png: bytes) -> None:
    portal.send(portal.new_job(), ("waiting/a.png", a_png))
    (image,) = portal.images()
    portal._read(image)
    page = portal.browser().get("/studies").text
    assert "waiting for the network" in page
    assert "No answer: out" not in page


def test_work_list_is_sorted_and_study_pages_link_their_neighbours(
    portal: Portal, a_png: bytes
) -> None:
    for name, probability in (("low", 0.6), ("high", 0.9), ("middle", 0.7)):
        portal.send(portal.new_job(), (f"{name}/a.png", a_png + name.encode()))
        portal.read_all(probability=probability)
    page = portal.browser().get("/studies").text
    assert page.index("high</a>") < page.index("middle</a>") < page.index("low</a>")
    turned = portal.browser().get("/studies?descending=False").text
    assert turned.index("high</a>") > turned.index("middle</a>") > turned.index("low</a>")
    page = portal.browser().get("/studies/3").text
    assert 'id="previous" rel="prev" href="/studies/2"' in page
    assert 'id="next" rel="next" href="/studies/1"' in page
    assert 'id="back" href="/studies?start=3"' in page
    page = portal.browser().get("/studies/3?descending=False").text
    assert 'id="next" rel="next" href="/studies/2?descending=False"' in page
    first = portal.browser().get("/studies/2").text
    assert 'id="previous"' not in first
    assert portal.browser().get(f"/studies/3?at={10**30}").status_code == 200, "an old bookmark"


@pytest.mark.usefixtures("five_studies")
def test_work_list_pages_start_after_or_end_before_a_study(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.reading.studies.PAGE_SIZE", 2)
    browser = portal.browser()

    def shown(query: str) -> list[int]:
        links = re.findall(r'href="/studies/(\d+)', browser.get(query).text)
        return [int(study_id) for study_id in links]

    assert shown("/studies") == [1, 2]
    assert 'rel="next" href="/studies?after=2"' in browser.get("/studies").text
    assert 'rel="prev"' not in browser.get("/studies").text
    assert shown("/studies?after=2") == [3, 4]
    assert 'rel="prev" href="/studies?before=3"' in browser.get("/studies?after=2").text
    assert shown("/studies?before=3") == [1, 2]
    assert shown("/studies?before=2") == [1, 2], "a whole page"
    assert shown("/studies?last=True") == [4, 5]
    assert 'rel="next"' not in browser.get("/studies?last=True").text
    assert shown("/studies?start=4") == [4, 5]
    assert shown("/studies?page=2") == [3, 4], "an old bookmark"
    assert shown("/studies?after=99") == [1, 2], "no such study"


UNKNOWN = [
    *("/nothing", "/jobs/unknown", "/studies/99", "/nights/1", "/versions/none", "/snapshots/77"),
    *("/api/v1/nothing", "/api/v1/jobs/unknown", "/api/v1/studies/99"),
    "/api/v1/snapshots/77/images.csv",
    *("/api/v1/images/99/display", "/api/v1/results?job_id=unknown"),
    *(f"/api/v1/{kind}/{10**30}" for kind in ("studies", "nights", "snapshots")),
]
INVALID = [
    *("/studies?order=colour", "/studies?page=0", "/snapshots/1?split=nonsense"),
    *(f"{path}?page={10**30}" for path in ("/", "/labels", "/nights", "/versions")),
    *("/api/v1/studies?order=colour", "/api/v1/results?format=xml", "/api/v1/labels?page=0"),
]


@both_databases
def test_errors_are_html_pages_or_problem_json(portal: Portal) -> None:
    browser = portal.browser()
    for path in UNKNOWN:
        assert_error(browser.get(path), 404, path)
    for path in INVALID:
        assert_error(browser.get(path), 422, path)


def assert_error(answer: Any, status: int, path: str) -> None:
    assert answer.status_code == status, path
    if path.startswith("/api/"):
        assert answer.content_type == "application/problem+json"
        assert set(answer.json) == {"title", "status"}
        assert answer.json["status"] == status
        assert "\n" not in answer.json["title"]
    else:
        assert f"Error {status}" in answer.text


def test_unexpected_error_is_logged_without_its_message(
    portal: Portal, caplog: pytest.LogCaptureFixture
) -> None:
    name = "Testperson"  # not in the line that raises, which the logged traceback quotes

    @open_to_all("for this test")
    def fail() -> str:
        raise RuntimeError(name)

    rules = ("/fails", "/api/v1/fails")
    for rule in rules:
        portal.app.add_url_rule(rule, rule, fail)
    for rule in rules:
        answer = portal.browser().get(rule)
        assert answer.status_code == 500
        assert "Testperson" not in answer.text
    assert "RuntimeError" in caplog.text
    assert "Testperson" not in caplog.text
