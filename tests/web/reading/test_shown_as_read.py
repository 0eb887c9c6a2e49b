"""What is shown is what was read: upright, in true proportions, with one scale of heatmaps."""

import csv
import re
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image as Pillow
from sqlalchemy import update

from models.tables.intake import Image, Prediction
from models.tables.people import Role
from pipeline.drawing import ANCHORS
from pipeline.types import RangeRule
from tests.support.data.builders import make_dicom, make_picture
from tests.support.servers.processes import ROOT
from tests.support.web.pages import get_picture, words
from tests.support.web.portal import Portal
from web.http.filters import range_words

PICTURES = ("display", "overlay.png", "heatmap.png", "thumbnail")


@pytest.fixture
def viewer(portal: Portal, a_png: bytes) -> FlaskClient:
    """One image has been predicted."""
    portal.send(portal.new_job(), ("a.png", a_png))
    portal.read_all()
    return portal.program(Role.VIEWER)


def get(viewer: FlaskClient, picture: str) -> np.ndarray:
    answer = get_picture(viewer, f"/api/v1/images/1/{picture}")
    assert answer.status_code == 200
    with Pillow.open(BytesIO(answer.data)) as drawn:
        is_grey = picture.startswith(("display", "thumbnail"))
        return np.asarray(drawn.convert("L" if is_grey else "RGBA")).astype(int)


def set_orientation(portal: Portal, orientation: int | None) -> None:
    with portal.database.sessions.begin() as session:
        session.execute(update(Prediction).values(orientation=orientation))


def test_image_read_turned_and_inverted_is_shown_so(portal: Portal, viewer: FlaskClient) -> None:
    before = {picture: get(viewer, picture) for picture in PICTURES}
    set_orientation(portal, 5)
    for picture in PICTURES:
        drawn = get(viewer, picture)
        assert np.array_equal(get(viewer, f"{picture}?as_stored=true"), before[picture]), picture
        if picture in ("display", "thumbnail"):
            np.testing.assert_allclose(drawn, np.rot90(255 - before[picture], -1), atol=2)
    heat = np.rot90(before["heatmap.png"][..., 3], -1)
    assert np.abs(get(viewer, "heatmap.png")[..., 3] - heat).max() <= 1


def test_another_orientation_is_no_copy_in_the_browsers_cache(
    portal: Portal, viewer: FlaskClient
) -> None:
    path = "/api/v1/images/1/thumbnail"
    seen = {"If-None-Match": viewer.get(path).headers["ETag"]}
    assert viewer.get(path, headers=seen).status_code == 304
    set_orientation(portal, 2)
    assert viewer.get(path, headers=seen).status_code == 200


def test_study_page_says_that_the_image_is_shown_as_read(
    portal: Portal, viewer: FlaskClient
) -> None:
    browser = portal.browser()
    assert "Shown as" not in words(browser, "/studies/1")
    set_orientation(portal, 7)
    page = words(browser, "/studies/1")
    assert "Shown as it was read; stored rotated to the right and inverted." in page
    link = re.search(r'href="([^"]*as_stored=1[^"]*)"', browser.get("/studies/1").text)
    assert link
    stored = browser.get(link[1].replace("&amp;", "&")).text
    assert "Shown as stored: rotated to the right and inverted; corrected before" in stored
    for picture in ("display", "heatmap.png"):
        assert f"/api/v1/images/1/{picture}?as_stored=True" in stored


def test_image_of_oblong_pixels_is_shown_in_true_proportions(
    portal: Portal, tmp_path: Path
) -> None:
    path = make_dicom(
        tmp_path / "a.dcm",
        make_picture(50, 100),
        PixelAspectRatio=[2, 1],
        WindowCenter=128,
        WindowWidth=256,
    )
    portal.send(portal.new_job(), ("a.dcm", path.read_bytes()))
    portal.read_all()
    viewer = portal.program(Role.VIEWER)
    shapes = [get(viewer, picture).shape[:2] for picture in ("display", "overlay.png", "thumbnail")]
    assert shapes == [(100, 100), (100, 100), (128, 128)]
    (result,) = viewer.get("/api/v1/results?format=json").json["results"]
    assert (result["range_rule"], result["pixel_aspect"]) == ("window", 2.0)
    (row,) = csv.DictReader(StringIO(viewer.get("/api/v1/results?format=csv").text))
    assert [row[name] for name in ("range_rule", "pixel_aspect", "orientation")] == [
        *("window", "2.0", "0")
    ]
    page = words(portal.browser(), "/studies/1")
    assert "Grey levels by the stated window Pixel height 2.00 times the width" in page


@pytest.mark.parametrize("rule", RangeRule)
def test_every_range_rule_has_words(rule: RangeRule) -> None:
    assert range_words(rule.value)


def test_thumbnail_has_the_true_proportions(portal: Portal, viewer: FlaskClient) -> None:
    with portal.database.sessions.begin() as session:
        session.execute(update(Image).values(rows=100, columns=200, pixel_aspect=2.5))
    assert get(viewer, "thumbnail").shape == (128, 102)
    set_orientation(portal, 3)
    assert get(viewer, "thumbnail").shape == (102, 128)


def test_legend_has_the_colours_of_heatmaps() -> None:
    style = (ROOT / "web/static/overread.css").read_text()
    (gradient,) = re.findall(r"\.legend .colours .*linear-gradient\(to right, ([^)]*)\)", style)
    hexadecimal = ["#" + bytes(colour.astype(np.uint8)).hex() for colour in ANCHORS]
    assert gradient.split(", ") == hexadecimal
