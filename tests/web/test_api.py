"""Jobs, results, studies and images over the API."""

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from tests.support.servers.databases import both_databases
from tests.support.web.pages import get_picture
from tests.support.web.portal import Portal

RESULT_FIELDS = [
    *("file", "sha256", "status", "reason", "finding", "probability", "threshold", "unfamiliarity"),
    *("warnings", "model_version", "study", "job_id", "image_id", "operating_point", "temperature"),
    *("heatmap_peak", "heatmap_concentration", "heatmap_inside_body", "reason_code"),
    *("range_rule", "pixel_aspect", "orientation", "population", "prevalence"),
    "adjusted_probability",
]


def test_repeated_creation_with_one_key_creates_one_job(portal: Portal) -> None:
    body = {"name": "a folder", "key": "a1b2c3d4e5f6a7b8"}
    answers = [portal.program().post("/api/v1/jobs", json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json == answers[1].json
    created = answers[0].json
    assert created.pop("waiting_for") is None, "nothing waits"
    assert portal.program().get("/api/v1/jobs").json == {"jobs": [created], "next": None}
    assert [row.action for row in portal.audit()].count("job.created") == 1


def test_images_are_filtered_by_state(portal: Portal, job: str) -> None:
    client = portal.program()
    found = client.get(f"/api/v1/jobs/{job}/images?state=predicted").json
    assert [image["file"] for image in found["images"]] == ["d/a.dcm", "d/b.png"]
    assert found["next"] is None
    assert client.get(f"/api/v1/jobs/{job}/images?state=rejected").json["images"] == []
    assert client.get(f"/api/v1/jobs/{job}/images?state=lost").status_code == 422


@both_databases
def test_result_formats_are_equivalent(portal: Portal, job: str) -> None:
    client = portal.program()
    types = {"jsonl": "application/jsonl", "json": "application/json", "csv": "text/csv"}
    texts = {}
    for kind, media_type in types.items():
        answer = client.get(f"/api/v1/results?job_id={job}&format={kind}")
        assert answer.mimetype == media_type
        name = f'attachment; filename="overread-research-use-only.{kind}"'
        assert answer.headers["Content-Disposition"] == name
        texts[kind] = answer.text
    lines, table = texts["jsonl"].splitlines(), texts["csv"]
    whole = json.loads(texts["json"])["results"]
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [json.loads(line) for line in lines] == whole
    assert client.get("/api/v1/results").text == texts["jsonl"], "the default"
    assert [list(result) for result in whole] == [RESULT_FIELDS] * 2
    assert (whole[0]["finding"], whole[0]["probability"]) == ("pneumonia", 0.87)
    assert [whole[0][name] for name in RESULT_FIELDS[13:18]] == ["balanced", 1.5, 3.0, 0.2, 0.9]
    assert [row["file"] for row in rows] == [result["file"] for result in whole]
    assert float(rows[0]["probability"]) == whole[0]["probability"]
    assert list(rows[0]) == RESULT_FIELDS
    assert (rows[0]["operating_point"], rows[0]["temperature"]) == ("balanced", "1.5")
    empty = f"/api/v1/results?job_id={portal.new_job()}"
    assert client.get(empty).text == ""
    assert json.loads(client.get(f"{empty}&format=json").text) == {"results": []}


def test_results_have_the_probability_at_the_stated_prevalence(portal: Portal, job: str) -> None:
    """0.87 at one half; its odds of 87 : 13 are 87 : 117 at one tenth."""
    portal.change_settings(prevalence=0.1)
    client = portal.program()
    study = client.get(f"/api/v1/studies?job_id={job}").json["studies"][0]
    shown = client.get(f"/api/v1/studies/{study['id']}").json["images"]
    listed = client.get(f"/api/v1/jobs/{job}/images").json["images"]
    exported = json.loads(client.get("/api/v1/results?format=json").text)["results"]
    for results in (shown, listed, exported):
        for result in results:
            assert (result["prevalence"], result["probability"]) == (0.1, 0.87)
            assert result["adjusted_probability"] == pytest.approx(87 / (87 + 13 * 9))
    assert study["probability"] == 0.87, "the version's own decides and sorts"


@both_databases
def test_study_equals_its_entry_in_the_list(portal: Portal, job: str) -> None:
    client = portal.program()
    listed = client.get(f"/api/v1/studies?job_id={job}").json
    assert (listed["total"], listed["next"]) == (2, None)
    shown = client.get(f"/api/v1/studies/{listed['studies'][0]['id']}").json
    assert shown["summary"] == listed["studies"][0]
    assert len(shown["images"]) == 1
    assert shown["summary"]["operating_point"] == "balanced"
    assert shown["summary"]["temperature"] == 1.5


@pytest.mark.usefixtures("five_studies")
def test_studies_are_listed_by_page_or_after_a_study(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.reading.studies.API_PAGE_SIZE", 2)
    client = portal.program()

    def listed(query: str) -> tuple[Any, ...]:
        answer = client.get(f"/api/v1/studies?{query}").json
        ids = [study["id"] for study in answer["studies"]]
        return ids, answer["total"], answer["next"], answer["next_after"]

    assert listed("") == ([1, 2], 5, 2, 2)
    assert listed("page=3") == ([5], 5, None, None)
    assert listed("after=4") == ([5], 5, None, None)
    assert listed("after=1") == ([2, 3], 5, None, 3)
    assert client.get("/api/v1/studies?after=0").status_code == 422
    assert client.get("/api/v1/studies?before=2").status_code == 422, "for pages only"


def decoded(answer: Any) -> PILImage.Image:
    return PILImage.open(io.BytesIO(answer.data))


def test_image_renderings_have_mode_and_size(portal: Portal, job: str) -> None:
    client = portal.program()
    display = decoded(get_picture(client, "/api/v1/images/1/display"))
    assert (display.mode, display.size) == ("L", (128, 96))
    thumbnail = decoded(client.get("/api/v1/images/1/thumbnail"))
    assert thumbnail.size == (128, 96)
    heatmap = decoded(client.get("/api/v1/images/1/heatmap.png"))
    alpha = np.asarray(heatmap.convert("RGBA"))[..., 3]
    # The invented heatmap grows from its first cell to its last.
    assert alpha[0, 0] == 0
    assert alpha[-1, -1] > 200
    overlay = decoded(get_picture(client, "/api/v1/images/1/overlay.png"))
    assert (overlay.mode, overlay.size) == ("RGB", display.size)


def test_rendering_of_an_unread_image_is_not_found(portal: Portal, a_png: bytes) -> None:
    portal.send(portal.new_job(), ("a.png", a_png))
    client = portal.program()
    assert client.get("/api/v1/images/1/display").status_code == 404
    portal._read(portal.images()[0])
    assert get_picture(client, "/api/v1/images/1/display").status_code == 200
    answer = client.get("/api/v1/images/1/heatmap.png")
    assert answer.json == {"title": "this image has no prediction yet", "status": 404}


@pytest.mark.parametrize("body", ["[" * 60_000, '{"name":' * 8_000, "9" * 5_000])
def test_unparsable_json_is_a_bad_request(portal: Portal, body: str) -> None:
    answer = portal.program().post("/api/v1/jobs", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"
