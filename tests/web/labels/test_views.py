"""Labels over the API and on pages."""

import re
from typing import Any

import pytest

from models.learning.labels import valid_labels
from models.tables.learning import LabelValue
from models.tables.people import Role
from tests.support.data.rows import a_user
from tests.support.web.people import audited
from tests.support.web.portal import Portal
from web.http.label_filters import label_choices


@pytest.fixture
def images(portal: Portal, a_png: bytes) -> list[Any]:
    """Three read images of one study, suspected."""
    job = portal.new_job()
    portal.send(job, *((f"ward/{n}.png", a_png + bytes([n])) for n in range(3)))
    portal.read_all(probability=0.9)
    return portal.images()


def give(portal: Portal, *labels: dict[str, Any], role: Role = Role.READER) -> Any:
    return portal.program(role).post("/api/v1/labels", json={"labels": list(labels)})


def study_page(portal: Portal, role: Role = Role.READER, image: int = 1) -> str:
    return portal.browser(role).get(f"/studies/1?image={image}").text


def test_reader_labels_images_by_id_and_sha256(portal: Portal, images: list[Any]) -> None:
    answer = give(
        portal,
        {"image_id": images[0].id, "label": "pneumonia"},
        {"sha256": images[1].sha256, "label": "unusable"},
    )
    assert (answer.status_code, answer.json) == (200, {"added": 2, "unchanged": 0})
    again = give(portal, {"image_id": images[0].id, "label": "pneumonia"})
    assert again.json == {"added": 0, "unchanged": 1}
    with portal.database.sessions() as session:
        labels = valid_labels(session)
    first = labels[images[0].sha256]
    assert (first.value, first.reader, first.role) == ("pneumonia", "a reader", Role.READER)
    assert labels[images[1].sha256].value == LabelValue.UNUSABLE
    assert ("labels.given", "2 images") in audited(portal)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"image_id": 99, "label": "normal"}, "labels[1]: image not found"),
        ({"sha256": "0" * 64, "label": "normal"}, "labels[1]: image not found"),
        ({"image_id": 2, "label": "sick"}, "label"),
        ({"image_id": 2, "sha256": "0" * 64, "label": "normal"}, "either sha256 or image_id"),
        ({"label": "normal"}, "either sha256 or image_id"),
        ({"image_id": 2**63, "label": "normal"}, "less than or equal"),
    ],
)
def test_labels_are_saved_all_or_none(
    portal: Portal, images: list[Any], wrong: dict[str, Any], complaint: str
) -> None:
    answer = give(portal, {"image_id": 1, "label": "normal"}, wrong)
    assert answer.status_code == (404 if "not found" in complaint else 422)
    assert complaint in answer.json["title"]
    with portal.database.sessions() as session:
        assert valid_labels(session) == {}


def test_viewer_sees_labels_without_controls(portal: Portal, images: list[Any]) -> None:
    label = {"image_id": 1, "label": "normal"}
    give(portal, label)
    page = study_page(portal, Role.VIEWER)
    assert "a reader, reader" in page
    assert "data-label" not in page
    assert 'id="table"' not in portal.browser(Role.VIEWER).get("/labels").text


@pytest.mark.parametrize(
    ("finding", "offered"),
    [
        ("pneumonia", {"c": "pneumonia", "x": "normal", "u": "unusable"}),
        ("normal", {"c": "normal", "x": "pneumonia", "u": "unusable"}),
        (None, {"p": "pneumonia", "n": "normal", "u": "unusable"}),
    ],
)
def test_label_choices_depend_on_the_finding(finding: Any, offered: dict[str, str]) -> None:
    assert {choice.key: choice.label.value for choice in label_choices(finding)} == offered


def test_study_page_shows_every_readers_label(portal: Portal, images: list[Any]) -> None:
    assert "No labels yet." in study_page(portal)
    give(portal, {"image_id": 1, "label": "pneumonia"}, role=Role.OPERATOR)
    give(portal, {"image_id": 1, "label": "normal"})
    page, fragment = study_page(portal), portal.browser().get("/labels/images/1").text
    sentence = "Readers disagree. The label of a operator counts (higher role)."
    for text in (page, fragment):
        assert text.index("Pneumonia\n") < text.index("a operator, operator · 20")
        assert text.index("a operator, operator") < text.index("a reader, reader")
        assert sentence in text
    own = re.search(r'data-label="normal"[^>]*aria-pressed="(\w+)"', page)
    assert own is not None
    assert own[1] == "true", "the reader's own label"
    assert "threshold 50 %, balanced" in page
    assert "v1" in page
    give(portal, {"image_id": 1, "label": "pneumonia"})
    assert "Readers disagree" not in study_page(portal)


def test_latest_label_counts_among_equal_roles(portal: Portal, images: list[Any]) -> None:
    with portal.database.sessions.begin() as session:
        a_user(session, name="other", role=Role.READER)
    label = {"image_id": 1, "label": "pneumonia"}
    give(portal, label)
    table = f"sha256,label,reader\n{images[0].sha256},normal,other\n"
    sent = portal.program(Role.READER).post(
        "/api/v1/labels/csv", data=table, content_type="text/csv"
    )
    assert sent.json["added"] == 1
    assert "other, reader · " in study_page(portal)
    assert " · CSV of a reader" in study_page(portal)
    assert give(portal, label).json == {"added": 1, "unchanged": 0}
    assert give(portal, label).json == {"added": 0, "unchanged": 1}


def test_labels_are_listed_with_their_conflicts(portal: Portal, images: list[Any]) -> None:
    for image in images:
        give(portal, {"image_id": image.id, "label": "normal"})
    give(portal, {"image_id": 2, "label": "unusable"}, role=Role.ADMIN)
    client = portal.program(Role.VIEWER)
    listed = client.get("/api/v1/labels").json
    assert (listed["total"], listed["next"]) == (3, None)
    first = listed["labels"][0]
    assert (first["image_id"], first["label"], first["reader"]) == (2, "unusable", "a admin")
    assert [said["label"] for said in first["said"]] == ["unusable", "normal"]
    assert (first["source"], first["sent_by"]) == ("portal", "a admin")
    only = client.get("/api/v1/labels?only_conflicts=true").json
    assert [label["is_conflict"] for label in only["labels"]] == [True]
    assert client.get("/api/v1/labels?page=0").status_code == 422


def test_labels_page_shows_progress_to_the_next_training(portal: Portal, images: list[Any]) -> None:
    assert "No conflicts." in portal.browser().get("/labels").text
    give(portal, *({"image_id": image.id, "label": "normal"} for image in images))
    give(portal, {"image_id": 2, "label": "pneumonia"}, role=Role.ADMIN)
    page = portal.browser(Role.READER).get("/labels").text
    assert "<strong>3</strong> of 20 new labels" in page
    assert "4 labels today" in page
    assert "Conflicts (1)" in page
    assert 'href="/studies/1?image=2"' in page
    assert "The label of a admin counts (higher role)" in page
    summary = portal.program().get("/api/v1/labels/summary").json
    assert summary["origins"] == [{"origin": "site", "pneumonia": 1, "normal": 2, "unusable": 0}]
    assert (summary["new"], summary["wanted"], summary["conflicts"]) == (3, 20, 1)
    assert [reader["reader"] for reader in summary["readers"]] == ["a reader", "a admin"]


def test_labels_page_stops_counting_new_labels(
    portal: Portal, images: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.labels.views.NEW_COUNTED_TO", 2)
    portal.change_settings(night_min_labels=2)
    give(portal, *({"image_id": image.id, "label": "normal"} for image in images))
    assert "<strong>2+</strong> of 2 new labels" in portal.browser().get("/labels").text
    portal.change_settings(night_min_labels=3)
    assert "<strong>3+</strong> of 3 new labels" in portal.browser().get("/labels").text
