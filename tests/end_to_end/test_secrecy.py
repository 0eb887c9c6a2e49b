"""A service at work: secrets are in no process list, no log, and no file that others may read."""

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.builders import make_png
from tests.service import Service

pytestmark = pytest.mark.processes

PASSWORD = "quiet rooms at dusk"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    # As JSON, the log keeps the lines that people need not read.
    running = Service(tmp_path_factory.mktemp("service"), {"log_format": "json"})
    running.start()
    yield running
    running.end()


@pytest.fixture(scope="module")
def secrets(service: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every secret there is, each used once, rightly and wrongly."""
    found = {"the first link": _token_in(service.output), "the local token": _local_token(service)}
    found |= json.loads((service.data_dir / "secrets.json").read_text())
    found["a login link"] = _token_in(service.run("login-link").stdout)
    added = service.run("users", "add", "olga", "--role", "reader")
    found["an invitation"] = _token_in(added.stdout)
    made = service.run("tokens", "add", "night upload", "--role", "operator", "--days", "7")
    found["an API token"] = made.stdout.strip()
    found["a session"], found["a password"] = _log_in(service, found), PASSWORD
    _submit(service, tmp_path_factory.mktemp("upload"))
    assert all(len(secret) > 15 for secret in found.values())
    return found


def _local_token(service: Service) -> str:
    return (service.data_dir / "token").read_text().strip()


def _token_in(printed: str) -> str:
    found = re.search(r"token=([\w-]+)", printed)
    assert found is not None, printed
    return found[1]


def _log_in(service: Service, found: dict[str, str]) -> str:
    with httpx.Client(base_url=service.url) as browser:
        page = browser.get("/welcome", params={"token": found["an invitation"]})
        wrong = {"name": "olga", "password": f"{PASSWORD}!", "csrf_token": _proof(page)}
        assert browser.post("/login", data=wrong).status_code == 403
        form = {"token": found["an invitation"], "password": PASSWORD, "again": PASSWORD}
        assert browser.post("/welcome", data=form | {"csrf_token": _proof(page)}).status_code == 303
        assert "olga · reader" in browser.get("/").text
        session = browser.cookies["overread"]
    with httpx.Client(base_url=service.url) as browser:
        for _ in range(2):  # the second time it is refused
            browser.get("/login", params={"token": found["a login link"]})
        bearer = {"Authorization": f"Bearer {found['an API token']}"}
        assert browser.get("/api/v1/jobs", headers=bearer).is_success
    return session


def _proof(page: httpx.Response) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def _submit(service: Service, folder: Path) -> None:
    make_png(folder / "a.png")
    assert service.run("submit", folder).returncode == 0


def test_no_process_list_shows_a_secret(service: Service, secrets: dict[str, str]) -> None:
    """Arguments are for everyone on the machine to read; the environment is the owner's alone."""
    shown = "\n".join(" ".join(process.cmdline()) for process in service.processes())
    assert "gunicorn" in shown
    assert "celery" in shown
    assert [name for name, secret in secrets.items() if secret in shown] == []


def test_no_log_holds_a_secret(service: Service, secrets: dict[str, str]) -> None:
    logs = [service.log, *(_text(path) for path in service.data_dir.rglob("*.log"))]
    assert "/welcome" in service.log, "requests are logged"
    assert [name for name, secret in secrets.items() if secret in "\n".join(logs)] == []


def test_the_database_keeps_no_token_and_no_password(
    service: Service, secrets: dict[str, str]
) -> None:
    kept = b"".join(path.read_bytes() for path in service.data_dir.glob("overread.sqlite3*"))
    assert b"$argon2id$" in kept
    assert [name for name, secret in secrets.items() if secret.encode() in kept] == []


def test_every_file_of_the_data_folder_is_its_owners_alone(
    service: Service, secrets: dict[str, str]
) -> None:
    paths = [service.data_dir, *service.data_dir.rglob("*")]
    open_to_others = {
        str(path.relative_to(service.data_dir)): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in paths
        if path.exists() and not path.is_symlink() and path.lstat().st_mode & 0o077
    }
    assert open_to_others == {}


def _text(path: Path) -> str:
    return path.read_text(errors="replace")
