"""The service's HTTP API, as the command line uses it."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import click
import httpx

from cli.api.errors import AtWorkError, BusyError, DiskFullError, checked, not_ours
from cli.api.tls import trust, why_distrusted
from cli.errors import Failed, UsageProblem
from cli.lockfile import running_service
from cli.settings import CommandSettings

PATIENCE_S = 60.0  # how long a service may be away (restarting, say) before we give up
DISK_PATIENCE_S = 300.0  # its workers delete what they have read, so that room comes back
LONGEST_PAUSE_S = 5.0
TIMEOUT = httpx.Timeout(10.0, read=300.0, write=60.0)
SENDING = httpx.Timeout(10.0, read=3600.0, write=60.0)

Answer = TypeVar("Answer")


class Client:
    """Safe to share between threads. Every call is safe to repeat, and is repeated."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        patience_s: float = PATIENCE_S,
        disk_patience_s: float = DISK_PATIENCE_S,
    ) -> None:
        self.url = url.rstrip("/")
        self.on_wait: Callable[[str], None] = lambda _: None  # told once why it takes so long
        self._patience_s, self._disk_patience_s = patience_s, disk_patience_s
        self._said: set[str] = set()
        self._stopped = threading.Event()
        headers = {"Authorization": f"Bearer {token}"}
        # A proxy that the environment names has no business between us and loopback.
        self._http = httpx.Client(
            base_url=self.url + "/api/v1/",
            headers=headers,
            timeout=TIMEOUT,
            trust_env=False,
            verify=trust(self.url),
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def create_job(self, name: str) -> dict[str, Any]:
        return self._json("POST", "jobs", json={"name": name, "key": uuid4().hex})

    def job(self, job_id: str) -> dict[str, Any]:
        return self._json("GET", f"{_job(job_id)}")

    def close_job(self, job_id: str, *, missing: str = "refuse") -> dict[str, Any]:
        """missing: "refuse" where declared files have not arrived, or "give_up" on those."""
        return self._json("POST", f"{_job(job_id)}/close", json={"missing": missing})

    def cancel_job(self, job_id: str) -> dict[str, Any]:
        return self._json("POST", f"{_job(job_id)}/cancel", json={})

    def retry_job(self, job_id: str, *, which: str) -> dict[str, Any]:
        """which: "failed" or "all"."""
        return self._json("POST", f"{_job(job_id)}/retry", json={"which": which})

    def purge(self, which: Mapping[str, Any]) -> dict[str, Any]:
        """which: as in `web.operations.schemas.Purge`; with `dry_run` False, until it is `done`."""
        return self._json("POST", "purges", json=dict(which))

    def jobs(self, *, page: int = 1) -> dict[str, Any]:
        return self._json("GET", "jobs", params={"page": page})

    def declare(self, job_id: str, files: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What will be sent (`file`, `size`, `sha256`): at most 1000. What has come of each."""
        answer = self._json("POST", f"{_job(job_id)}/uploads", json={"files": list(files)})
        uploads: list[dict[str, Any]] = answer["uploads"]
        return uploads

    def uploads(self, job_id: str, *, state: str) -> Iterator[dict[str, Any]]:
        """A job's declarations that are "missing", "arrived" or "given_up"."""
        page: int | None = 1
        while page:
            answer = self._json(
                "GET", f"{_job(job_id)}/uploads", params={"state": state, "page": page}
            )
            yield from answer["uploads"]
            page = answer["next"]

    def send_files(self, job_id: str, files: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
        """Names and contents, in one request."""
        parts = [("files", file) for file in files]
        answer = self._json("POST", f"{_job(job_id)}/files", files=parts, timeout=SENDING)
        rows: list[dict[str, Any]] = answer["files"]
        return rows

    def send_chunk(
        self, job_id: str, upload_id: int, content: bytes, *, offset: int
    ) -> dict[str, Any]:
        """Bytes of a declared file from an offset on. WrongOffsetError where others should come."""
        headers = {
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
        }
        # With the last byte, a large zip is unpacked before the answer comes.
        return self._json(
            "PATCH",
            f"{_job(job_id)}/uploads/{upload_id}",
            content=content,
            headers=headers,
            timeout=SENDING,
        )

    def model_versions(self) -> dict[str, Any]:
        return self._json("GET", "model-versions")

    def promote(self, name: str, *, live: str | None, reason: str, despite_refusal: bool) -> None:
        body = {"live": live, "reason": reason, "despite_refusal": despite_refusal}
        self._json("POST", f"model-versions/{quote(name, safe='')}/promote", json=body)

    def roll_back(self, *, live: str, reason: str) -> dict[str, Any]:
        """live: what is rolled back; said again, it is refused instead of done twice."""
        return self._json("POST", "roll-back", json={"live": live, "reason": reason})

    def reread(self) -> dict[str, Any]:
        """Earlier images with the version that is live: begun, or under way already."""
        return self._json("POST", "rereadings", json={})

    def rereadings(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._json("GET", "rereadings")["rereadings"]
        return found

    def start_night(self) -> dict[str, Any]:
        """The one that is open already, where there is one."""
        return self._json("POST", "nights", json={})

    def nights(self) -> dict[str, Any]:
        """Newest first, and when the next is due."""
        return self._json("GET", "nights")

    def night(self, night_id: int) -> dict[str, Any]:
        return self._json("GET", f"nights/{night_id}")

    def cancel_night(self, night_id: int) -> dict[str, Any]:
        return self._json("POST", f"nights/{night_id}/cancel", json={})

    def send_labels(self, table: bytes) -> dict[str, Any]:
        """A CSV. Sending it again adds nothing."""
        headers = {"Content-Type": "text/csv"}
        return self._json("POST", "labels/csv", content=table, headers=headers, timeout=SENDING)

    @contextmanager
    def stream_results(self, *, job_id: str | None, format_: str) -> Iterator[Iterator[str]]:
        """Lines of JSON or CSV as they come, each with its line break."""
        params = {"format": format_} | ({"job_id": job_id} if job_id is not None else {})
        request = self._http.build_request("GET", "results", params=params)

        def ask() -> httpx.Response:
            answer = self._http.send(request, stream=True)
            if answer.is_error:
                answer.read()
            return checked(answer)

        answer = self._patiently(ask)
        try:
            if answer.headers.get("Content-Type", "text/html").startswith("text/html"):
                raise Failed(not_ours(answer))
            yield _lines(answer.iter_bytes())
        except httpx.TransportError as error:
            raise Failed(f"{self.url} does not answer: {error}") from None
        finally:
            answer.close()

    def ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """For calls that live beside the command they belong to."""
        return self._json(method, path, **options)

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            answer = checked(self._http.request(method, path, **options))
            try:
                content = answer.json()
            except ValueError:  # a page, of a proxy or of something else
                raise Failed(not_ours(answer)) from None
            if not isinstance(content, dict):
                raise Failed(not_ours(answer))
            return content

        return self._patiently(ask)

    def stop(self) -> None:
        """Whoever waits for another try, in whichever thread, gives up."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        away_since, pause = math.inf, 0.2
        while True:
            try:
                return ask()
            except AtWorkError as error:
                why = Failed(f"{self.url}: {error}")
                away_since, patience_s = math.inf, 0.0  # it answers, so it is not away
                waiting = "the service is still at work on what was sent; waiting"
            except (httpx.TransportError, BusyError) as error:
                if distrust := why_distrusted(error):
                    raise Failed(f"{self.url}: {distrust}") from None
                why = Failed(f"{self.url} does not answer: {error}")
                # From the first failure on: a proxy may have waited for long before it gave up.
                away_since = min(away_since, time.monotonic())
                patience_s, waiting = self._patience_s, "the service does not answer; trying again"
            except DiskFullError as full:
                why, patience_s = full, self._disk_patience_s
                away_since = min(away_since, time.monotonic())
                waiting = "the service's disk is nearly full; waiting for room"
            if time.monotonic() + pause > away_since + patience_s:
                raise why
            self._tell(waiting)
            if self._stopped.wait(pause):
                raise why
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _tell(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self.on_wait(line)


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Split at "\n" alone: a file's name may hold what Unicode counts as a line's end too."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from (line.decode() + "\n" for line in lines)
    if rest:
        yield rest.decode()


def _job(job_id: str) -> str:
    """Its path; whatever was given stays within it."""
    return f"jobs/{quote(job_id, safe='')}"


def connect(settings: CommandSettings) -> Client:
    """A remote service if one is named, else the one that runs on the data folder."""
    token = settings.token.get_secret_value()
    if settings.url:
        if not token:
            raise UsageProblem("OVERREAD_URL names a service, so OVERREAD_TOKEN is needed too")
        return _telling(Client(settings.url, token))
    service = running_service(settings.data_dir)
    if service is None:
        raise UsageProblem(
            f"no service is running for {shown(settings)}; start it with: overread up"
        )
    return _telling(Client(service.url, token or _token_in(Path(service.token_file))))


def _telling(client: Client) -> Client:
    client.on_wait = lambda line: click.echo(line, err=True)
    return client


def _token_in(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise UsageProblem(f"{file}: cannot be read: {error.strerror}") from None


def shown(settings: CommandSettings) -> str:
    """The data folder as the user would write it."""
    data = str(settings.data)
    return data if settings.data.is_absolute() or data.startswith(".") else f"./{data}"
