"""Drawing: once for all who ask, without holding threads, fair between users."""

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.config.settings import Settings
from models.files.store import FileStore
from models.slots import BusyError
from pipeline.errors import DamagedFileError, RefusalCode, RefusedError
from tests.support.servers.service import wait_until
from web.reading import renderer as module
from web.reading.renderer import Renderer


@dataclass
class FakeDecoder:
    """Draws a file as its own bytes, when it may."""

    may_draw: threading.Event = field(default_factory=threading.Event)
    drawn: list[bytes] = field(default_factory=list)
    answer: Callable[[bytes], bytes | RefusedError] = lambda content: content

    def display(
        self, path: Path, _: NDArray[np.float32] | None, *, orientation: int
    ) -> bytes | RefusedError:
        self.drawn.append(path.read_bytes())
        assert self.may_draw.wait(timeout=20)
        return self.answer(path.read_bytes())

    def open(self, _: Settings) -> AbstractContextManager["FakeDecoder"]:
        return nullcontext(self)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_S", 0.2)
    monkeypatch.setattr(module, "IDLE_S", 0.2)


@pytest.fixture
def store(settings: Settings) -> FileStore:
    return FileStore(settings.files_dir)


@pytest.fixture
def decoder() -> Iterator[FakeDecoder]:
    decoder = FakeDecoder()
    yield decoder
    decoder.may_draw.set()


@pytest.fixture
def renderer(settings: Settings, store: FileStore, decoder: FakeDecoder) -> Renderer:
    one = settings.model_copy(update={"render_processes": 1})
    return Renderer(one, store, open_decoder=decoder.open)


def ask(renderer: Renderer, sha256: str, user_id: int = 1) -> Any:
    try:
        return renderer.draw(sha256, None, user_id=user_id)
    except BusyError:
        return "busy"


def test_picture_that_takes_long_is_there_for_those_who_ask_again(
    renderer: Renderer, decoder: FakeDecoder, store: FileStore
) -> None:
    renderer._settings = renderer._settings.model_copy(update={"render_processes": 2})
    sha256 = store.put_bytes(b"a film").sha256
    with ThreadPoolExecutor(40) as threads:
        answers = list(threads.map(lambda user: ask(renderer, sha256, user), range(40)))
    assert answers == ["busy"] * 40
    decoder.may_draw.set()
    wait_until(lambda: ask(renderer, sha256) == b"a film", what="the picture")
    assert decoder.drawn == [b"a film"]


def test_only_a_few_threads_wait(
    renderer: Renderer, decoder: FakeDecoder, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_S", 20.0)
    sha256, refused = store.put_bytes(b"a film").sha256, threading.Semaphore(0)

    def watch(_: int) -> None:
        if ask(renderer, sha256) == "busy":
            refused.release()

    with ThreadPoolExecutor(40) as threads:
        threads.map(watch, range(40))
        try:
            for _ in range(40 - module.WAITING.threads):
                assert refused.acquire(timeout=10)
            assert not refused.acquire(timeout=0.2)
        finally:
            decoder.may_draw.set()


def test_user_with_many_images_does_not_delay_others(
    renderer: Renderer, decoder: FakeDecoder, store: FileStore
) -> None:
    films = [store.put_bytes(b"%d" % number).sha256 for number in range(20)]
    with ThreadPoolExecutor(20) as threads:
        assert set(threads.map(lambda film: ask(renderer, film), films)) == {"busy"}
    other = store.put_bytes(b"of another").sha256
    ask(renderer, other, user_id=2)
    decoder.may_draw.set()
    wait_until(lambda: ask(renderer, other, user_id=2) == b"of another", what="the picture")
    assert len(decoder.drawn) <= module.MOST_OF_A_USER + 1


def test_damaged_file_is_told_to_those_who_ask_again(
    renderer: Renderer, decoder: FakeDecoder, store: FileStore
) -> None:
    refused, changed = store.put_bytes(b"refused").sha256, store.put_bytes(b"changed").sha256
    store.path(changed).write_bytes(b"of another patient")
    decoder.answer = lambda _: RefusedError(RefusalCode.DAMAGED, "damaged")
    decoder.may_draw.set()
    for sha256 in (refused, changed, refused):
        with pytest.raises(DamagedFileError):
            renderer.draw(sha256, None, user_id=1)
    with pytest.raises(FileNotFoundError):
        renderer.draw("0" * 64, None, user_id=1)
    assert decoder.drawn == [b"refused"], "not once more, and nothing of another patient"


def test_failure_is_forgotten_after_a_while(
    renderer: Renderer, decoder: FakeDecoder, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAILURE_LASTS_S", 0.0)
    decoder.may_draw.set()
    sha256 = store.put_bytes(b"a film").sha256
    store.path(sha256).write_bytes(b"damaged")
    with pytest.raises(DamagedFileError):
        renderer.draw(sha256, None, user_id=1)
    store.path(sha256).write_bytes(b"a film")
    assert renderer.draw(sha256, None, user_id=1) == b"a film"


def test_full_disk_keeps_no_picture_but_shows_it(
    renderer: Renderer, decoder: FakeDecoder, store: FileStore
) -> None:
    decoder.may_draw.set()
    sha256 = store.put_bytes(b"a film").sha256
    shutil.rmtree(store.temporary)
    store.temporary.write_bytes(b"no file can be written here")
    assert renderer.draw(sha256, None, user_id=1) == b"a film"


def test_decoders_end_when_idle(renderer: Renderer, decoder: FakeDecoder, store: FileStore) -> None:
    decoder.may_draw.set()
    for number in range(2):
        assert renderer.draw(store.put_bytes(b"%d" % number).sha256, None, user_id=1)
        wait_until(lambda: renderer._threads == 0, what="the end of its thread")
