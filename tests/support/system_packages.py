"""Programs that tests need from the system's packages, installed where the tests run as root."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

INSTALL_TIMEOUT_S = 600


class NoProgramError(RuntimeError):
    """The program is neither on PATH nor could its package be installed."""


def find_program(names: Sequence[str], packages: Sequence[str]) -> Path:
    """Return the first of `names` on PATH, after installing `packages` if there is none.

    Raises NoProgramError.
    """
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of parallel test processes, one installs it
        if found := _on_path(names):
            return found
        _install(packages)
        if found := _on_path(names):
            return found
    raise NoProgramError(f"no {names[0]} found; install the package {packages[0]}")


def _on_path(names: Sequence[str]) -> Path | None:
    return next((Path(found) for name in names if (found := shutil.which(name))), None)


def _install(packages: Sequence[str]) -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    wait = ["-qq", "-o", "DPkg::Lock::Timeout=300"]
    # The index of a fresh container is empty or stale.
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        try:
            subprocess.run(
                ["apt-get", *command, *wait],
                env=environment,
                timeout=INSTALL_TIMEOUT_S,
                check=True,
            )
        except subprocess.SubprocessError as error:
            raise NoProgramError(f"installing {packages[0]} failed ({error})") from error
