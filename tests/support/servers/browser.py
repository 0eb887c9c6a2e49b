"""A Chromium for the browser tests: $CHROME, one on PATH, else (as root) the system's package."""

import os
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.system_packages import NoProgramError, find_program

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "libatomic1")  # playwright's own node needs the second

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


def find_browser() -> Path:
    """Return an executable for playwright. Raises NoProgramError."""
    if given := os.environ.get("CHROME"):
        if not Path(given).is_file():
            raise NoProgramError(f"CHROME names no file: {given}")
        return Path(given)
    return find_program(NAMES, PACKAGES)
