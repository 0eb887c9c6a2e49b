"""Requests that wait for the end of a job."""

import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest

from models.intake.jobs import cancel_job, is_finished, job_progress
from tests.support.data.uploads import a_png
from tests.support.web.portal import send
from tests.support.web.sender import Sender
from web.intake.wait import WAITS


def ask(sender: Sender, prefer: str) -> tuple[Any, float]:
    """The answer, and the seconds until it came."""
    began = time.monotonic()
    answer = sender.client.get(sender.url, headers={"Prefer": prefer})
    assert answer.status_code == 200
    return answer.json, time.monotonic() - began


def test_answer_comes_as_soon_as_the_job_has_finished(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.intake.wait.LONGEST_S", 60.0)
    send(sender.client, sender.job, ("a.png", a_png()))
    sender.post("close")
    reading = threading.Timer(0.5, sender.portal.read_all)
    reading.start()
    job, took_s = ask(sender, "wait=60")
    reading.join()
    assert job["finished"]
    assert 0.4 < took_s < 50


def test_unfinished_job_is_answered_after_the_wait(sender: Sender) -> None:
    job, took_s = ask(sender, "wait=1")
    assert not job["finished"]
    assert took_s >= 1


@pytest.mark.parametrize("prefer", ["", "wait=", "wait=x", "wait=-9", "wait=²", "respond-async"])
def test_other_preferences_are_ignored(sender: Sender, prefer: str) -> None:
    assert ask(sender, prefer)[1] < 3


def test_wait_is_shorter_than_a_stopping_portal_allows(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.intake.wait.LONGEST_S", 0.2)
    assert ask(sender, "wait=600")[1] < 60


def test_requests_beyond_the_threads_that_may_wait_do_not_wait(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.intake.wait.LONGEST_S", 60.0)
    with ExitStack() as slots:
        for _ in range(WAITS.size):
            slots.enter_context(WAITS.take())
        assert ask(sender, "wait=60")[1] < 50


def test_job_is_finished_when_its_progress_says_so(sender: Sender) -> None:
    def both() -> bool:
        with sender.portal.database.sessions() as session:
            progress = job_progress(session, sender.job)
            assert is_finished(session, sender.job) == progress.finished
        return progress.finished

    assert not both()
    sender.declare(("a.png", a_png()), ("b.png", b"never sent"))
    send(sender.client, sender.job, ("a.png", a_png()))
    sender.portal.read_all()
    assert not both()
    with sender.portal.database.sessions.begin() as session:
        cancel_job(session, sender.job)
    assert both()


def test_closed_job_is_finished_once_its_images_are(sender: Sender) -> None:
    send(sender.client, sender.job, ("a.png", a_png()))
    sender.post("close")
    with sender.portal.database.sessions() as session:
        assert not is_finished(session, sender.job)
        assert not is_finished(session, "no such job")
    sender.portal.read_all()
    with sender.portal.database.sessions() as session:
        assert is_finished(session, sender.job)
