"""What code can do that has taken over a decoder process: nothing, with every layer on its own."""

import errno
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.prepare.pool import DecoderPool
from pipeline.prepare.sandbox.contain import ON
from tests.support.imaging.owned_decoder import code_file, owned_pool

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[3]
DENIED = "PermissionError"
# By what is tried: PARENT is the pool's process, DATA a data folder, PORT that of a server.
FILES = {
    "secrets.json": "answer = open('DATA/secrets.json').read()",
    "admin token": "answer = os.read(os.open('DATA/token', os.O_RDONLY), 9)",
    "database file": "answer = open('DATA/overread.sqlite', 'rb').read(9)",
    "password file": "answer = open('/etc/passwd').read()",
    "own program": "answer = open(os.__file__).read()",
    "existence of a file": "answer = os.stat('DATA/secrets.json')",
    "list of a folder": "answer = os.listdir('DATA')",
    "new file": "answer = open('DATA/new', 'w')",
    "new file in memory": "answer = os.memfd_create('new')",
    "removal": "answer = os.remove('DATA/token')",
    "memory of the parent": "answer = open('/proc/PARENT/mem', 'rb')",
    "environment of the parent": "answer = open('/proc/PARENT/environ').read()",
    "open files of the parent": "answer = os.listdir('/proc/PARENT/fd')",
}
NETWORK = {
    "TCP": "answer = socket.create_connection(('127.0.0.1', PORT))",
    "UDP": "answer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "Unix socket": "answer = socket.socket(socket.AF_UNIX)",
    "pair of sockets": "answer = socket.socketpair()",
}
PROCESSES = {
    "signal to the parent": "answer = os.kill(PARENT, 0)",
    "end of the parent": "answer = os.kill(PARENT, 15)",
    "fork": "answer = os.fork()",
    "program": "answer = os.execv('/bin/true', ['true'])",
    "trace of the parent": "answer = call('ptrace', 16, PARENT, 0, 0)",
    "memory of the parent by a call": "answer = call('process_vm_readv', PARENT, 0, 0, 0, 0, 0)",
    "namespaces": "answer = call('unshare', 0x10000000)",
    "mount": "answer = call('mount', b'none', b'/tmp', b'tmpfs', 0, 0)",
    "another user": "answer = os.setuid(0)",
    "io_uring": "answer = call('syscall', 425, 1, 0)",
    "wider limits": "answer = call('setrlimit', 7, (ctypes.c_long * 2)(99, 99))",
    "signals by a file's owner": "answer = call('fcntl', channel, 8, PARENT)",
}
PRELUDE = "from pipeline.prepare.sandbox.libc import call\n"


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with owned_pool() as running:
        missing = {layer for layer, state in running.containment().items() if state != ON}
        if "seccomp" in missing:
            pytest.skip("the kernel has no seccomp filters")
        yield running


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "secrets.json").write_text("a secret")
    (tmp_path / "token").write_text("a token")
    sqlite3.connect(tmp_path / "overread.sqlite").close()
    return tmp_path


def substituted(code: str, *, data: Path, listener: socket.socket) -> str:
    code = code.replace("DATA", str(data)).replace("PARENT", str(os.getpid()))
    return code.replace("PORT", str(listener.getsockname()[1]))


@pytest.mark.parametrize("attempts", [FILES, NETWORK, PROCESSES], ids=["files", "net", "processes"])
def test_owned_decoder_reaches_nothing(
    attempts: dict[str, str], pool: DecoderPool, data: Path, listener: socket.socket, tmp_path: Path
) -> None:
    before = pool.process_ids()
    files = [
        code_file(tmp_path / f"{number}", PRELUDE + substituted(code, data=data, listener=listener))
        for number, code in enumerate(attempts.values())
    ]
    answers = dict(zip(attempts, pool.prepare_all(files), strict=True))
    assert {name: str(answer) for name, answer in answers.items()} == dict.fromkeys(
        attempts, DENIED
    )
    assert pool.process_ids() == before
    assert sorted(path.name for path in data.iterdir() if not path.name.isdigit()) == [
        *("overread.sqlite", "secrets.json", "token")
    ]


def test_owned_decoder_has_no_secret_and_no_other_descriptor(
    pool: DecoderPool, tmp_path: Path
) -> None:
    code = """
def is_open(descriptor):
    try:
        os.read(descriptor, 0)
    except OSError as error:
        return error.errno != 9
    return True
answer = sorted(os.environ), [one for one in range(64) if one != channel and is_open(one)]
"""
    (answer,) = pool.prepare_all([code_file(tmp_path / "code", code)])
    names, descriptors = eval(str(answer))  # noqa: S307 (written above)
    assert set(names) <= {
        *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH"),
        *("PYTHONPATH", "OPENBLAS_NUM_THREADS", "GDCM_RESOURCES_PATH"),
        *("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"),
    }
    assert len(descriptors) == 4, "standard input and output, messages of libraries, the file"


def test_owned_decoder_does_not_have_the_key(tmp_path: Path) -> None:
    code = """
import sys
frame, values = sys._getframe(), ''
while frame:
    values += repr({name: one for name, one in frame.f_locals.items() if name != 'content'})
    frame = frame.f_back
answer = len(values) > 1000, 'an invented' in values
""".replace("an invented", "an' + ' invented")
    with owned_pool(key=b"an invented key") as pool:
        (answer,) = pool.prepare_all([code_file(tmp_path / "code", code)])
    assert str(answer) == "(True, False)"


def test_owned_decoder_cannot_change_its_file(pool: DecoderPool, tmp_path: Path) -> None:
    code = """
answer = set()
for one in range(3, 9):
    try:
        one != channel and os.write(one, b'x')
    except OSError as error:
        answer.add(error.errno)
"""
    (answer,) = pool.prepare_all([code_file(tmp_path / "code", code)])
    assert str(answer) == str({errno.EBADF}), "a descriptor is open for writing"


# By layer: what it denies on its own, where other layers are missing.
NEWER = ("os.kill(PARENT, 0)", "socket.create_connection(('127.0.0.1', PORT))")
GAIN = "os.geteuid() and contain.call('unshare', contain._CLONE_NEWUSER); "  # what only root has
ALONE = {
    "landlock": (
        "landlock.restrict()",
        [
            *("open('/etc/passwd')", "os.listdir('/')", "open('DATA/new', 'w')"),
            *(f"{code} if landlock.version() >= 6 else os.stat('')" for code in NEWER),
        ],
    ),
    "namespaces": (
        "contain._leave_namespaces()",
        ["socket.create_connection(('127.0.0.1', PORT), 5)"],
    ),
    "seccomp": (
        "seccomp.install()",
        ["open('/etc/passwd')", "socket.socket()", "os.fork()", "os.kill(PARENT, 0)"],
    ),
    "rlimits": ("contain._limit_resources()", ["open('DATA/new', 'w').write('x' * 9999)"]),
    "capabilities": (GAIN + "contain._drop_capabilities()", ["os.chroot('/')", "os.setgroups([])"]),
}
SCRIPT = """
import os, socket, sys
from pipeline.prepare.sandbox import contain, landlock, seccomp
from pipeline.prepare.sandbox.libc import PR_SET_NO_NEW_PRIVS, prctl
prctl(PR_SET_NO_NEW_PRIVS, 1)
try:
    {layer}
except OSError as error:
    os.write(1, b"SKIP " + error.strerror.encode())
    os._exit(0)
for attempt in {attempts!r}:
    try:
        eval(attempt)
    except OSError:
        continue
    os.write(1, attempt.encode())
os._exit(0)
"""


@pytest.mark.parametrize("layer", ALONE)
def test_each_layer_denies_on_its_own(layer: str, data: Path, listener: socket.socket) -> None:
    apply, attempts = ALONE[layer]
    code = [substituted(one, data=data, listener=listener) for one in attempts]
    script = SCRIPT.format(layer=apply, attempts=code)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    if done.stdout.startswith("SKIP"):
        pytest.skip(f"the kernel does not grant {layer}: {done.stdout[5:]}")
    assert done.stdout == "", "allowed"
    assert done.stderr == ""
