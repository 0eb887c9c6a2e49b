"""Warnings about text burned into pixels."""

from pathlib import Path

import pytest

from models.tables.people import Role
from pipeline.dicom.frontal import TEXT
from tests.support.data.builders import make_dicom
from tests.support.web.pages import words
from tests.support.web.portal import Portal


@pytest.fixture
def portal_with_text(portal: Portal, tmp_path: Path) -> Portal:
    """One study whose tags declare burned-in text."""
    dicom = make_dicom(tmp_path / "x.dcm", BurnedInAnnotation="YES").read_bytes()
    portal.send(portal.new_job(), ("x.dcm", dicom))
    portal.read_all(finding="pneumonia")
    return portal


def test_pages_warn_about_burned_in_text(portal_with_text: Portal) -> None:
    browser = portal_with_text.browser(Role.VIEWER)
    assert TEXT in words(browser, "/studies/1")
    assert "Burned-in text is not removed" in words(browser, "/studies/1")
    assert "text burned into an image stays visible" in words(browser, "/about")


def test_results_contain_the_burned_in_warning(portal_with_text: Portal) -> None:
    program = portal_with_text.program(Role.VIEWER)
    assert TEXT in program.get("/api/v1/studies/1").json["images"][0]["warnings"]
    for kind in ("csv", "jsonl", "json"):
        assert TEXT in program.get(f"/api/v1/results?format={kind}").text, kind
