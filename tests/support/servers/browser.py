"""A Chromium for the browser tests: $CHROME, one on PATH, else (as root) the system's package."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from playwright.sync_api import Page, expect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL_TIMEOUT_S = 600

ARGUMENTS = [
    "--no-sandbox",  # needed as root; the only pages it opens are ours, on loopback
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def expect_count(page: Page, state: str, number: int) -> None:
    """Wait until the job page shows `number` images or files in that state."""
    place = page.locator(f'[data-count="{state}"]').first
    expect(place).to_have_text(str(number))


class NoBrowserError(RuntimeError):
    pass


def find_browser() -> Path:
    """Return an executable for playwright. Raises NoBrowserError."""
    if given := os.environ.get("CHROME"):
        if not Path(given).is_file():
            raise NoBrowserError(f"CHROME names no file: {given}")
        return Path(given)
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of parallel test processes, one installs it
        if found := _on_path() or _from_system_packages():
            return found
    raise NoBrowserError("no Chromium found; install one, or set CHROME to its path")


def _on_path() -> Path | None:
    return next((Path(found) for name in NAMES if (found := shutil.which(name))), None)


def _from_system_packages() -> Path | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # The index of a fresh container is empty or stale. libatomic1: playwright's own node needs it.
    wait = ["-qq", "-o", "DPkg::Lock::Timeout=300"]
    packages = ["-y", "--no-install-recommends", "chromium", "libatomic1"]
    try:
        for command in (["update"], ["install", *packages]):
            subprocess.run(
                ["apt-get", *command, *wait],
                env=environment,
                timeout=INSTALL_TIMEOUT_S,
                check=True,
            )
    except subprocess.SubprocessError as error:
        raise NoBrowserError(
            f"no Chromium found; installing one failed ({error}); set CHROME to its path"
        ) from error
    return _on_path()
