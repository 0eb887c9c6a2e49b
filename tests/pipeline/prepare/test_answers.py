"""Whatever a decoder process sends, the pool's process takes valid answers only."""

import json
import pickle
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import RefusalCode, RefusedError
from pipeline.limits import DISPLAY_SIDE
from pipeline.prepare import answers
from pipeline.prepare.answers import Picture, PreparedFile, Questions, Refusal
from pipeline.prepare.prepare import prepare
from pipeline.prepare.process import MEMORY_BYTES, _prepared
from pipeline.prepare.wire import MAX_JSON_BYTES, MAX_WARNINGS, Channel, WireError
from pipeline.pseudonym import pseudonym
from pipeline.types import NETWORK_INPUT_SIDE, Prepared, RangeRule
from tests.support.data.builders import make_dicom
from tests.support.imaging.owned_decoder import code_file, owned_pool

KEY = b"key"
PATIENT_HASH = pseudonym(KEY, "patient", "", "P1")
STORED: dict[str, Any] = {
    "blob_bytes": 3,
    "media_type": "image/png",
    "study_uid_hash": None,
    "patient_hash": None,
    "sop_instance_uid": None,
}
PREPARED: dict[str, Any] = {
    "kind": "prepared",
    "rows": 500,
    "columns": 400,
    "tags": {"Modality": "CR", "PatientAge": "044Y", "PatientOrientation": "L\\F"},
    "warnings": ["first of 2 frames read"],
    "range_rule": "window",
    "pixel_aspect": 1.5,
    "unknown_terms": {"BodyPartExamined": "RTG KLP"},
    "stored": STORED,
}
REFUSAL: dict[str, Any] = {"kind": "refusal", "code": "damaged", "clause": "cut short"}
PICTURE: dict[str, Any] = {"kind": "picture", "rows": 2, "columns": 3}
QUESTIONS: dict[str, Any] = {"kind": "questions", "questions": [["patient", "", "P1"]]}
PIXELS = bytes(range(256)) * (NETWORK_INPUT_SIDE**2 // 256)


class Pair:
    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.channel = Channel(ours)

    def send(self, message: object, *bodies: bytes) -> None:
        head = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.theirs.sendall(struct.pack("!I", len(head)) + head + b"".join(bodies))


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    pair.channel.deadline = time.monotonic() + 10
    yield pair
    pair.channel.close()
    pair.theirs.close()


def test_valid_answers_are_read(pair: Pair) -> None:
    pair.send(PREPARED, PIXELS, b"png")
    message = answers.receive(pair.channel)
    assert isinstance(message, PreparedFile)
    prepared = message.read(pair.channel, set())
    assert prepared.network_input.tobytes() == PIXELS
    assert (prepared.rows, prepared.columns) == (500, 400)
    assert prepared.tags == PREPARED["tags"]
    assert (prepared.range_rule, prepared.pixel_aspect) == (RangeRule.WINDOW, 1.5)
    assert prepared.unknown_terms == PREPARED["unknown_terms"]
    assert prepared.stored is not None
    assert (prepared.stored.blob, prepared.stored.media_type) == (b"png", "image/png")
    pair.send(PICTURE, b"abcdef")
    picture = answers.receive(pair.channel)
    assert isinstance(picture, Picture)
    np.testing.assert_array_equal(picture.read(pair.channel), [[97, 98, 99], [100, 101, 102]])
    pair.send(REFUSAL)
    refusal = answers.receive(pair.channel)
    assert isinstance(refusal, Refusal)
    assert refusal.error().reason == (RefusalCode.DAMAGED, "cut short")
    pair.send(QUESTIONS)
    assert isinstance(answers.receive(pair.channel), Questions)


def test_more_warnings_than_are_taken_cost_no_file(tmp_path: Path, pair: Pair) -> None:
    prepared = prepare(make_dicom(tmp_path / "a.dcm"))
    odd = replace(prepared, warnings=("an odd attribute",) * (MAX_WARNINGS + 1))
    head, pixels = _prepared(odd)
    pair.send(head, bytes(pixels))
    message = answers.receive(pair.channel)
    assert isinstance(message, PreparedFile)
    assert message.read(pair.channel, None).warnings == odd.warnings[:MAX_WARNINGS]


@pytest.mark.parametrize(
    "message",
    {
        "no JSON": b"\x80\x04not JSON",
        "no object": [],
        "unknown kind": {"kind": "code"},
        "deep": b"[" * 50_000,
        "deep field": PREPARED | {"tags": json.loads("[" * 900 + "]" * 900)},
        "huge number": json.dumps(PREPARED).replace("500", "9" * 5000).encode(),
        "not a number": json.dumps(PREPARED).replace("500", "NaN").encode(),
        "unknown field": PREPARED | {"code": "import os"},
        "missing field": {"kind": "prepared"},
        "no rows": PREPARED | {"rows": 0},
        "too many rows": PREPARED | {"rows": 2**16},
        "rows of another type": PREPARED | {"rows": "500"},
        "unknown tag": PREPARED | {"tags": {"PatientName": "DOE"}},
        "tag with free text": PREPARED | {"tags": {"Modality": "DOE"}},
        "unknown term of another tag": PREPARED | {"unknown_terms": {"PatientName": "DOE"}},
        "unknown term with free text": PREPARED | {"unknown_terms": {"ViewPosition": "Jane Doe"}},
        "long unknown term": PREPARED | {"unknown_terms": {"ViewPosition": "A" * 17}},
        "age with free text": PREPARED | {"tags": {"PatientAge": "DOE"}},
        "empty tag": PREPARED | {"tags": {"Modality": ""}},
        "too many warnings": PREPARED | {"warnings": ["x"] * (MAX_WARNINGS + 1)},
        "unknown range rule": PREPARED | {"range_rule": "doe"},
        "no pixel aspect": PREPARED | {"pixel_aspect": 0},
        "huge pixel aspect": PREPARED | {"pixel_aspect": 1e300},
        "long warning": PREPARED | {"warnings": ["x" * 501]},
        "two lines": PREPARED | {"warnings": ["x\ny"]},
        "right to left": PREPARED | {"warnings": ["x\u202ey"]},
        "other media type": PREPARED | {"stored": STORED | {"media_type": "text/html"}},
        "empty file": PREPARED | {"stored": STORED | {"blob_bytes": 0}},
        "huge file": PREPARED | {"stored": STORED | {"blob_bytes": MEMORY_BYTES // 2 + 1}},
        "unknown code": REFUSAL | {"code": "fine"},
        "places with values": {"kind": "fault", "places": "ValueError: 'Jane Doe'\n"},
        "wide picture": PICTURE | {"columns": DISPLAY_SIDE + 1},
        "empty picture": PICTURE | {"rows": 0},
        "other kind of hash": QUESTIONS | {"questions": [["folder", "a"]]},
        "other number of parts": QUESTIONS | {"questions": [["uid", "1", "2"]]},
        "long identifier": QUESTIONS | {"questions": [["uid", "1" * 1025]]},
        "too many hashes": QUESTIONS | {"questions": [["uid", "1"]] * 9},
    }.items(),
    ids=lambda case: case[0],
)
def test_invalid_messages_are_not_read(message: tuple[str, object], pair: Pair) -> None:
    pair.send(message[1])
    with pytest.raises(WireError, match="invalid message") as refused:
        answers.receive(pair.channel)
    assert "doe" not in str(refused.value).lower(), "values may be a patient's"


def test_too_long_message_is_not_awaited(pair: Pair) -> None:
    pair.theirs.sendall(struct.pack("!I", MAX_JSON_BYTES + 1))
    with pytest.raises(WireError, match="message too long"):
        answers.receive(pair.channel)


@pytest.mark.parametrize(
    ("stated", "given"),
    [
        ({"patient_hash": PATIENT_HASH}, ("patient", PATIENT_HASH)),
        ({"study_uid_hash": PATIENT_HASH}, ("study", PATIENT_HASH)),
        ({"sop_instance_uid": "2.25.1"}, ("uid", "2.25.1")),
    ],
)
def test_only_hashes_that_were_given_are_taken(
    pair: Pair, stated: dict[str, str], given: tuple[str, str]
) -> None:
    message = PreparedFile.model_validate_json(json.dumps(PREPARED | {"stored": STORED | stated}))
    pair.theirs.sendall(PIXELS)
    with pytest.raises(WireError, match="pseudonym that was not given"):
        message.read(pair.channel, {("other", PATIENT_HASH), ("uid", "2.25.2")})
    pair.theirs.sendall(PIXELS + b"png")
    assert message.read(pair.channel, {given}).stored


@pytest.mark.parametrize(("stored", "issued"), [(STORED, None), (None, set())])
def test_file_to_store_is_taken_only_where_it_was_asked_for(
    pair: Pair, stored: dict[str, Any] | None, issued: set[tuple[str, str]] | None
) -> None:
    message = PreparedFile.model_validate_json(json.dumps(PREPARED | {"stored": stored}))
    with pytest.raises(WireError, match="missing or not asked for"):
        message.read(pair.channel, issued)


def test_deadline_holds_for_one_who_sends_a_byte_at_a_time(pair: Pair) -> None:
    is_over = threading.Event()

    def trickle() -> None:
        while not is_over.wait(0.02):
            pair.theirs.send(b"\0")

    thread = threading.Thread(target=trickle)
    thread.start()
    pair.channel.deadline = time.monotonic() + 0.3
    with pytest.raises(TimeoutError):
        pair.channel.receive_bytes(10**6)
    is_over.set()
    thread.join()


class Planted:
    """What `pickle.loads` would run."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.command,)


@pytest.mark.processes
def test_owned_decoder_runs_nothing_in_the_pools_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is ended, its file refused, and the next one read."""
    mark = tmp_path / "code-ran"
    planted = pickle.dumps(Planted(f"open({str(mark)!r}, 'w')"))
    framed = struct.pack("!i", len(planted)) + planted  # as multiprocessing's connections do
    ask_twice = "for _ in range(2): os.write(channel, {frame!r}); os.read(channel, 1000)"
    frame = json.dumps(QUESTIONS).encode()
    ask_twice = ask_twice.format(frame=struct.pack("!I", len(frame)) + frame)
    codes = [f"os.write(channel, {framed!r}); os.read(channel, 1)", ask_twice]
    files = [code_file(tmp_path / str(number), code) for number, code in enumerate(codes)]
    good = make_dicom(tmp_path / "good.dcm", PatientID="P1")
    with owned_pool(key=KEY) as pool:
        owned = pool.process_ids()
        *refused, read = pool.prepare_all([*files, good])
        assert pool.process_ids() != owned
    for answer in refused:
        assert isinstance(answer, RefusedError)
        assert answer.reason == (RefusalCode.DECODER_CRASH, "the decoder's answer is invalid")
    assert isinstance(read, Prepared)
    assert read.stored is not None
    assert read.stored.patient_hash == PATIENT_HASH
    assert not mark.exists()
    assert "unexpected message: questions" in caplog.text
