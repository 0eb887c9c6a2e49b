"""A process that only decodes files, so that a hostile file gains nothing by owning it.

Protocol with `decoder`, by `wire`: the settings in, `ready` out; then a task with a file's
descriptor in and an answer out, until the pool closes the socket or dies. Before its answer to a
file that is to be de-identified it may ask for keyed hashes, once. `answers` lists all messages.
"""

import codecs
import importlib
import json
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    # pydicom would import it to download samples: a tenth of the time to start, and 4 MB.
    sys.modules["requests"] = None  # type: ignore[assignment]

from PIL import Image
from pydicom.charset import python_encoding

from pipeline.decode.decode import decode_content
from pipeline.drawing import display_levels
from pipeline.errors import RefusedError, damaged, too_large
from pipeline.files.jpeg import DAMAGED, reports_damage
from pipeline.limits import Limits
from pipeline.prepare.prepare import prepare_content
from pipeline.prepare.sandbox.contain import contain
from pipeline.prepare.wire import MAX_TEXT, MAX_TRACE, MAX_WARNINGS, Channel, read_exactly
from pipeline.types import Prepared

# Of one process. The largest radiograph that `Limits` allows (64 million pixels of 16 bits) takes
# 0.85 of it; an image of that size in colours or floats may not fit, and is refused.
MEMORY_BYTES: Final = 1_000_000_000
_GRACE_S: Final = 2.0
_PIPE_BYTES: Final = 1 << 16  # what Linux keeps
# Imported by the libraries when they are first needed, which is too late here.
_LAZY_MODULES: Final = ("numpy.ma", "PIL.Jpeg2KImagePlugin", "PIL.WebPImagePlugin")
# Of text in DICOM files. Besides the standard's (PS3.3 C.12.1.1.2), pydicom accepts Python's names.
_ENCODINGS: Final = {
    *python_encoding.values(),
    *(f"cp{number}" for number in (*range(1250, 1259), 874, 932, 949, 950)),
    *(f"iso8859_{number}" for number in (*range(1, 12), *range(13, 17))),
    *("koi8_r", "koi8_u", "big5", "euc_jp", "utf_16"),
}


def main(descriptor: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the pool handles Ctrl-C
    channel = Channel(socket.socket(fileno=descriptor))
    try:
        settings = json.loads(channel.receive())
        _import_all()
        _bound_memory()
        warnings = _capture_stderr()
        channel.send({"kind": "ready", "containment": contain()})
        _serve(channel, settings, warnings)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the pool has gone


def _serve(channel: Channel, settings: Mapping[str, Any], warnings: int) -> None:
    limits, timeout_s = Limits(**settings["limits"]), settings["timeout_s"]
    while True:
        message, file = channel.receive_with_descriptor()
        task = json.loads(message)
        # Ends this process even within a codec, in case the pool is gone by then.
        signal.setitimer(signal.ITIMER_REAL, timeout_s + _GRACE_S)
        answer = _answer(channel, task, file, limits, warnings)
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.close(file)
        channel.send(*answer)
        del answer  # perhaps a large copy, while the next file is read


def _answer(
    channel: Channel, task: Mapping[str, Any], file: int, limits: Limits, warnings: int
) -> Sequence[Any]:
    """Return a message and the bytes after it."""
    try:
        _read_all(warnings)  # those of the previous file
        try:
            answer = _result(channel, task, read_exactly(file, task["bytes"]), limits)
        except RefusedError as refusal:
            answer = _refusal(refusal)
        if reports_damage(_read_all(warnings).decode(errors="replace")):
            # GDCM decodes damaged JPEG without an error, or does not say why it refuses it.
            return _refusal(damaged(DAMAGED))
        return answer
    except MemoryError:
        return _refusal(too_large("reading the file takes too much memory"))
    except Exception as error:
        places = traceback.extract_tb(error.__traceback__)
        trace = "; ".join(f"{Path(place.filename).name}:{place.lineno}" for place in places)
        trace = f"{type(error).__name__} at {trace}"
        return [{"kind": "fault", "places": trace[:MAX_TRACE]}]


def _result(
    channel: Channel, task: Mapping[str, Any], content: bytes, limits: Limits
) -> Sequence[Any]:
    if task["kind"] == "display":
        levels = display_levels(decode_content(content, limits=limits))
        rows, columns = levels.shape
        return {"kind": "picture", "rows": rows, "columns": columns}, levels.data
    pseudonyms = partial(_ask, channel) if task["deidentify"] else None
    prepared = prepare_content(
        content, pseudonyms=pseudonyms, limits=limits, local_terms=task["local_terms"]
    )
    return _prepared(prepared)


def _ask(channel: Channel, questions: Sequence[tuple[str, ...]]) -> list[str]:
    channel.send({"kind": "questions", "questions": questions})
    hashes: list[str] = json.loads(channel.receive())["hashes"]
    return hashes


def _prepared(prepared: Prepared) -> Sequence[Any]:
    message = {
        "kind": "prepared",
        "rows": prepared.rows,
        "columns": prepared.columns,
        "tags": prepared.tags,
        "warnings": prepared.warnings[:MAX_WARNINGS],
        "range_rule": prepared.range_rule,
        "pixel_aspect": prepared.pixel_aspect,
        "unknown_terms": dict(prepared.unknown_terms),
        "stored": None,
    }
    if (stored := prepared.stored) is None:
        return message, prepared.network_input.data
    message["stored"] = {
        "blob_bytes": len(stored.blob),
        "media_type": stored.media_type,
        "study_uid_hash": stored.study_uid_hash,
        "patient_hash": stored.patient_hash,
        "sop_instance_uid": stored.sop_instance_uid,
    }
    return message, prepared.network_input.data, stored.blob


def _refusal(refusal: RefusedError) -> Sequence[Any]:
    code, clause = refusal.reason
    return [{"kind": "refusal", "code": code, "clause": clause[:MAX_TEXT]}]


def _import_all() -> None:
    """Whatever a file may need: nothing can be imported once this process is contained."""
    Image.preinit()
    for name in _LAZY_MODULES:
        importlib.import_module(name)
    for encoding in _ENCODINGS:
        codecs.lookup(encoding)


def _bound_memory() -> None:
    """Limit the address space. What loaded libraries reserve without using it does not count."""
    pages = Path("/proc/self/statm").read_text().split()  # proc(5): size, resident, ...
    idle = (int(pages[0]) - int(pages[1])) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (idle + MEMORY_BYTES, idle + MEMORY_BYTES))


def _capture_stderr() -> int:
    """Return where messages that C libraries write to descriptor 2 can be read.

    They quote values from the file, so they are not passed on. More than a pipe holds is lost.
    """
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    os.set_blocking(theirs, False)
    os.dup2(theirs, 2)
    os.close(theirs)
    return ours


def _read_all(pipe: int) -> bytes:
    try:
        return os.read(pipe, _PIPE_BYTES)
    except BlockingIOError:
        return b""


if __name__ == "__main__":
    main(int(sys.argv[1]))
