"""Pictures of images: drawn outside the portal, kept, and never of a damaged file."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from models.config.settings import MADE_FILE, Settings
from models.files.damage import Damage, list_damage
from models.files.pictures import Pictures
from models.tables.people import Role
from pipeline.errors import DecoderError
from tests.support.data.uploads import files_in
from tests.support.servers.processes import ROOT, environment
from tests.support.web.pages import get_picture
from tests.support.web.portal import Portal
from web.reading import renderer
from web.reading.images import KEY

DECODING = {"pydicom", "gdcm", "openjpeg", "pylibjpeg", "simplejpeg", "pipeline.decode.decode"}
# In a process of its own, since tests decode.
DRAW = """
import sys
from tests.support.web.pages import get_picture
from web.app import create_app
client = create_app().test_client()
client.environ_base["HTTP_AUTHORIZATION"] = "Bearer " + sys.argv[1]
for picture in ("display", "overlay.png", "heatmap.png", "thumbnail"):
    assert get_picture(client, "/api/v1/images/1/" + picture).status_code == 200, picture
print(*sys.modules, sep="\\n")
"""


@pytest.fixture
def viewer(portal: Portal, a_png: bytes) -> FlaskClient:
    """One image has been predicted."""
    portal.send(portal.new_job(), ("a.png", a_png))
    portal.read_all()
    return portal.program(Role.VIEWER)


@contextmanager
def drawing_forbidden(portal: Portal) -> Iterator[None]:
    """Every drawing fails."""

    def refuse(_: Settings) -> AbstractContextManager[renderer.Decoder]:
        raise DecoderError("a decoder process did not start")

    before = portal.app.extensions.get(KEY)
    context = portal.context
    portal.app.extensions[KEY] = renderer.Renderer(
        context.settings, context.store, open_decoder=refuse
    )
    yield
    portal.app.extensions[KEY] = before


def stored_file(portal: Portal) -> Path:
    return portal.context.store.path(str(portal.images()[0].stored_sha256))


@pytest.mark.parametrize("picture", ["display", "overlay.png"])
def test_picture_is_drawn_once(portal: Portal, viewer: FlaskClient, picture: str) -> None:
    path = f"/api/v1/images/1/{picture}"
    first = get_picture(viewer, path)
    with drawing_forbidden(portal):
        again = viewer.get(path)
    assert again.status_code == 200
    assert again.data == first.data
    assert again.data.startswith(b"\x89PNG")
    assert again.content_length == len(first.data)


def test_picture_of_an_earlier_release_is_drawn_again(portal: Portal, viewer: FlaskClient) -> None:
    """It may be squashed, or as stored."""
    pictures = Pictures(portal.context.store, max_bytes=2**20)
    pictures.put(f"{stored_file(portal).name}-display-1", b"drawn by an earlier release")
    assert get_picture(viewer, "/api/v1/images/1/display").data.startswith(b"\x89PNG")


def test_damaged_picture_is_drawn_again(portal: Portal, viewer: FlaskClient) -> None:
    first = get_picture(viewer, "/api/v1/images/1/display")
    (path,) = files_in(portal.context.store, "pictures")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert get_picture(viewer, "/api/v1/images/1/display").data == first.data


@pytest.mark.parametrize("picture", ["display", "overlay.png"])
def test_damaged_stored_file_is_a_sentence(
    portal: Portal, viewer: FlaskClient, picture: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored_file(portal).write_bytes(b"\x89PNG\r\n\x1a\nof another patient")
    answer = get_picture(viewer, f"/api/v1/images/1/{picture}")
    title = "no pixels to show: the file is damaged"
    assert answer.json == {"title": title, "status": 404}
    assert "image 1 cannot be shown: the file stored/" in caplog.text
    with portal.context.sessions() as session:
        assert list_damage(session) == [Damage("stored", stored_file(portal).name)]


def test_damaged_network_input_is_not_shown(portal: Portal, viewer: FlaskClient) -> None:
    (path,) = files_in(portal.context.store, "inputs")
    path.write_bytes(bytes(path.stat().st_size))
    answer = viewer.get("/api/v1/images/1/thumbnail")
    assert answer.json == {"title": "no pixels to show: the file is damaged", "status": 404}
    with portal.context.sessions() as session:
        assert list_damage(session) == [Damage("inputs", path.name)], "it is made again"


def test_missing_files_are_sentences(portal: Portal, viewer: FlaskClient) -> None:
    stored_file(portal).unlink()
    for path in files_in(portal.context.store, "inputs"):
        path.unlink()
    for picture in ("display", "thumbnail"):
        answer = get_picture(viewer, f"/api/v1/images/1/{picture}")
        title = "no pixels to show: the file is missing"
        assert answer.json == {"title": title, "status": 404}


@pytest.mark.parametrize("picture", ["display", "thumbnail"])
def test_store_that_is_away_is_no_damage(portal: Portal, viewer: FlaskClient, picture: str) -> None:
    root = portal.context.store.root
    root.with_name(MADE_FILE).touch()
    root.rename(root.with_name("elsewhere"))
    answer = viewer.get(f"/api/v1/images/1/{picture}")
    title = "the file store is not available; try again later"
    assert answer.json == {"title": title, "status": 503}
    assert answer.headers["Retry-After"] == "5"
    with portal.context.sessions() as session:
        assert list_damage(session) == []


def test_busy_portal_says_when_to_ask_again(portal: Portal, viewer: FlaskClient) -> None:
    with ExitStack() as stack:
        for _ in range(renderer.WAITING.threads):
            stack.enter_context(renderer.WAITING.take())
        answer = viewer.get("/api/v1/images/1/display")
        assert viewer.get("/api/v1/images/1/thumbnail").status_code == 200, "needs no decoding"
    assert answer.status_code == 503
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["Retry-After"] == "3"
    assert answer.json["title"] == (
        "the service is busy with other pictures; try again in a moment"
    )
    assert get_picture(viewer, "/api/v1/images/1/display").status_code == 200


def test_decoder_that_does_not_start_is_a_sentence(portal: Portal, viewer: FlaskClient) -> None:
    with drawing_forbidden(portal):
        answer = viewer.get("/api/v1/images/1/display")
    assert answer.status_code == 503
    assert answer.json["title"] == "no image can be drawn at present: no decoder process starts"
    assert answer.headers["Retry-After"] == "5"


def test_portal_draws_without_importing_a_decoder(portal: Portal, viewer: FlaskClient) -> None:
    token = viewer.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    done = subprocess.run(
        [sys.executable, "-c", DRAW, token],
        cwd=ROOT,
        env=environment(portal.context.settings),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "web.reading.drawing" in loaded
    assert loaded & DECODING == set()
