"""The decoder pool with real processes: a crash or a hang costs one file."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from pydicom.uid import JPEGLosslessSV1

from pipeline.decode.decode import decode
from pipeline.drawing import display_levels, display_png, overlay_png
from pipeline.errors import DecoderError, RefusalCode, RefusedError
from pipeline.prepare.pool import DecoderPool
from pipeline.prepare.prepare import prepare
from pipeline.types import Prepared
from tests.support.data.builders import change_frame, make_dicom, make_jpeg, make_picture, make_png
from tests.support.imaging.jpeg12 import encode_jpeg12
from tests.support.imaging.owned_decoder import CRASH, HANG, PROGRAM, code_file, owned_pool

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[3]


@pytest.fixture
def good(tmp_path: Path) -> list[Path]:
    return [
        make_png(tmp_path / "1.png"),
        make_dicom(tmp_path / "2.dcm"),
        make_jpeg(tmp_path / "3.jpg", make_picture(500, 600)),
    ]


@pytest.fixture
def never_ending(tmp_path: Path) -> Path:
    """A file that hangs the decoder of `owned_pool`."""
    return code_file(tmp_path / "hang", HANG)


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_busy(pool: DecoderPool) -> bool:
    """Whether its first process has just used the processor."""
    process = psutil.Process(pool.process_ids()[0])
    return process.status() == psutil.STATUS_RUNNING and process.cpu_percent(0.1) > 0


def assert_only_second_refused(
    answers: list[Prepared | RefusedError], code: RefusalCode, sentence: str
) -> None:
    before, refusal, after = answers
    assert isinstance(refusal, RefusedError)
    assert (refusal.reason.code, str(refusal)) == (code, sentence)
    assert isinstance(before, Prepared)
    assert isinstance(after, Prepared)


def test_answers_are_in_order_and_equal_those_of_prepare(good: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"not an image")
    paths = [good[0], bad, *good, bad, *good] * 3
    with DecoderPool(processes=2, timeout_s=20, key=b"key") as pool:
        answers = list(pool.prepare_all(paths))
    assert len(answers) == len(paths)
    for path, answer in zip(paths, answers, strict=True):
        if path == bad:
            assert isinstance(answer, RefusedError)
            assert str(answer).endswith("received plain text")
            continue
        expected = prepare(path, key=b"key")
        assert isinstance(answer, Prepared)
        np.testing.assert_array_equal(answer.network_input, expected.network_input)
        assert answer.stored == expected.stored


def test_process_ends_after_a_number_of_files(good: list[Path], tmp_path: Path) -> None:
    """One that was taken over by a file, and goes on to answer, reads so many others at most."""
    bad = tmp_path / "bad"
    bad.write_bytes(b"not an image")
    seen = []
    with DecoderPool(processes=1, timeout_s=20, files=2) as pool:
        for path in [good[0], bad, good[1], good[0]]:
            seen += pool.process_ids()
            list(pool.prepare_all([path]))
        assert isinstance(pool.levels(good[0]), np.ndarray)
    first, same, second, same_again = seen
    assert (first, second) == (same, same_again)
    assert first != second


def test_display_returns_the_picture_or_why_not(good: list[Path], tmp_path: Path) -> None:
    heatmap = np.eye(7, dtype=np.float32)
    bad = tmp_path / "bad"
    bad.write_bytes(b"not an image")
    with DecoderPool(processes=1, timeout_s=20) as pool:
        for path in good:
            levels = display_levels(decode(path))
            assert pool.display(path) == display_png(levels)
            assert pool.display(path, heatmap) == overlay_png(levels, heatmap)
        assert isinstance(pool.display(bad), RefusedError)


def test_prepare_all_takes_few_paths_ahead(good: list[Path]) -> None:
    taken = 0

    def counted() -> Iterator[Path]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield good[0]

    with DecoderPool(processes=1, timeout_s=20) as pool:
        answers: Any = pool.prepare_all(counted())
        next(answers)
        assert taken < 10
        answers.close()


def test_damage_reported_on_stderr_only_is_refused(tmp_path: Path) -> None:
    """By GDCM for lossless JPEG; the next file is not affected."""
    whole = make_dicom(tmp_path / "1.dcm", make_picture(400, 400), transfer_syntax=JPEGLosslessSV1)
    damaged = Path(shutil.copy(whole, tmp_path / "2.dcm"))
    change_frame(damaged, lambda frame: frame[:5000] + bytes(512) + frame[5512:])
    assert isinstance(prepare(damaged), Prepared), "the damage is reported elsewhere too"
    with DecoderPool(processes=1, timeout_s=20) as pool:
        answers = list(pool.prepare_all([whole, damaged, whole]))
    sentence = "the JPEG data are damaged: parts of the image are lost"
    assert_only_second_refused(answers, RefusalCode.DAMAGED, sentence)


def test_damage_in_twelve_bit_jpeg_is_refused(tmp_path: Path) -> None:
    whole, damaged = tmp_path / "1.jpg", tmp_path / "2.jpg"
    content = encode_jpeg12(make_picture(400, 400, top=4095))
    whole.write_bytes(content)
    damaged.write_bytes(content[:5000] + content[5100:])
    with DecoderPool(processes=1, timeout_s=20) as pool:
        answers = list(pool.prepare_all([whole, damaged, whole]))
    sentence = "the JPEG data are damaged: parts of the image are lost"
    assert_only_second_refused(answers, RefusalCode.DAMAGED, sentence)


def test_hang_costs_one_file(good: list[Path], never_ending: Path) -> None:
    with owned_pool(timeout_s=2) as pool:
        before = pool.process_ids()
        answers = list(pool.prepare_all([good[0], never_ending, good[1]]))
        assert pool.process_ids() != before
    assert_only_second_refused(
        answers, RefusalCode.DECODER_TIMEOUT, "decoding took longer than 2 s"
    )


def test_crash_costs_one_file(good: list[Path], tmp_path: Path) -> None:
    crashing = code_file(tmp_path / "crash", CRASH)
    with owned_pool() as pool:
        before = pool.process_ids()
        answers = list(pool.prepare_all([good[0], crashing, good[1]]))
        assert pool.process_ids() != before
    assert_only_second_refused(
        answers, RefusalCode.DECODER_CRASH, "the decoder crashed on this file"
    )


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "suspended"])
def test_file_is_read_again_after_its_decoder_was_killed_or_suspended(
    good: list[Path], is_killed: bool
) -> None:
    with DecoderPool(processes=1, timeout_s=3) as pool:
        list(pool.prepare_all(good[:1]))
        stopped = psutil.Process(pool.process_ids()[0])
        stopped.suspend()
        timer = threading.Timer(0.3, stopped.kill if is_killed else stopped.status)
        timer.start()
        (answer,) = pool.prepare_all(good[:1])
    assert isinstance(answer, Prepared)


def test_process_killed_while_starting_is_replaced(good: list[Path]) -> None:
    with DecoderPool(processes=1, timeout_s=20) as pool:
        os.kill(pool.process_ids()[0], signal.SIGKILL)
        (answer,) = pool.prepare_all(good[:1])
    assert isinstance(answer, Prepared)


def test_process_killed_while_idle_is_replaced(good: list[Path]) -> None:
    with DecoderPool(processes=1, timeout_s=20) as pool:
        list(pool.prepare_all(good))
        (process_id,) = pool.process_ids()
        os.kill(process_id, signal.SIGKILL)
        wait_until(lambda: psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE)
        assert all(isinstance(answer, Prepared) for answer in pool.prepare_all(good))


def test_close_ends_processes_in_the_middle_of_a_file(never_ending: Path) -> None:
    with owned_pool(timeout_s=600) as pool:
        pool.containment()
        ids = pool.process_ids()
        thread = threading.Thread(target=lambda: list(pool.prepare_all([never_ending])))
        thread.start()
        wait_until(lambda: is_busy(pool))
        pool.close()
        thread.join(timeout=30)  # not the ten minutes that its file may take
        assert not thread.is_alive()
        assert not any(psutil.pid_exists(process_id) for process_id in ids)


@pytest.mark.parametrize("state", ["idle", "reading"])
def test_processes_end_with_a_killed_parent(state: str, never_ending: Path) -> None:
    script = (
        "import sys, pathlib; from pipeline.prepare.pool import DecoderPool\n"
        f"pool = DecoderPool(processes=2, timeout_s=1, program={PROGRAM!r})\n"
        "pool.containment()\n"
        "print(*pool.process_ids(), flush=True)\n"
        "sys.stdin.readline() if sys.argv[1] == 'idle' else "
        "list(pool.prepare_all([pathlib.Path(sys.argv[2])]))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, state, str(never_ending)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    children = [psutil.Process(int(word)) for word in parent.stdout.readline().split()]
    assert len(children) == 2
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    parent.stdin.close()
    parent.stdout.close()
    assert not alive


def test_decoder_process_loads_only_decoders() -> None:
    """There is one for each core, so no framework may be imported."""
    command = [sys.executable, "-X", "importtime", "-m", "pipeline.prepare.process", "0"]
    # Its imports, until it finds that descriptor 0 is no socket.
    result = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    loaded = set(re.findall(r"^import time:.*\| +(\w+)", result.stderr, re.MULTILINE))
    assert {"numpy", "PIL", "pydicom"} <= loaded
    assert not loaded & {
        "tensorflow",
        "keras",
        "openvino",
        "flask",
        "celery",
        "sqlalchemy",
        "cv2",
        "pydantic",
        "urllib3",  # of requests
    }


def test_unexpected_error_costs_one_file_and_logs_no_value(
    good: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failing = code_file(tmp_path / "failing", "raise ValueError('of Jane Doe')")
    deep = code_file(tmp_path / "deep", "def again(): again()\nagain()")
    with owned_pool() as pool:
        answers = list(pool.prepare_all([good[0], failing, good[1]]))
        (nested,) = pool.prepare_all([deep])
    assert isinstance(nested, RefusedError)
    assert nested.reason.code == RefusalCode.UNEXPECTED
    assert_only_second_refused(
        answers, RefusalCode.UNEXPECTED, "an unexpected error while decoding"
    )
    assert "ValueError at process.py:" in caplog.text
    assert "Doe" not in caplog.text


def test_file_is_not_refused_for_a_lack_of_descriptors(
    good: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = os.open

    def fail(path: Any, *rest: Any, **others: Any) -> int:
        if path == good[0]:
            raise OSError(errno.EMFILE, "Too many open files")
        return open_file(path, *rest, **others)

    with DecoderPool(processes=1, timeout_s=20) as pool:
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", fail)
            with pytest.raises(DecoderError, match="Too many open"):
                list(pool.prepare_all(good[:1]))
        (read,) = pool.prepare_all(good[:1])
    assert isinstance(read, Prepared)


def test_what_is_not_a_readable_file_is_refused(good: list[Path], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    bad = [tmp_path / "pipe", tmp_path, tmp_path / "missing", Path("/of/Jane\0Doe.dcm")]
    with DecoderPool(processes=1, timeout_s=20) as pool:
        *refused, read = pool.prepare_all([*bad, good[0]])
    assert [str(one) for one in refused] == [
        "the file cannot be read: not a regular file",
        "the file cannot be read: not a regular file",
        "the file cannot be read: No such file or directory",
        "the file cannot be read: not a path",
    ]
    assert isinstance(read, Prepared)
