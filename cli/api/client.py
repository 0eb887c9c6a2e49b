"""Client of the service's HTTP API. httpx and settings are imported late, for fast `--help`."""

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import click

from cli.api.errors import (
    BusyError,
    DiskFullError,
    InProgressError,
    check_response,
    unexpected_response,
)
from cli.api.tls import ssl_context, tls_problem
from cli.errors import Failed, UsageProblem
from cli.lockfile import running_service

if TYPE_CHECKING:
    import httpx

    from cli.settings import CommandSettings

PATIENCE_S = 90.0  # while it restarts, and longer than a limit of requests per minute lasts
DISK_PATIENCE_S = 300.0  # its workers delete uploads that were read, so that room becomes free
MAX_PAUSE_S = 5.0
# To connect, read, write, and get a connection from the pool.
TIMEOUT = (10.0, 300.0, 60.0, 10.0)
UPLOAD_TIMEOUT = (10.0, 3600.0, 60.0, 10.0)

Answer = TypeVar("Answer")


class Client:
    """Safe to share between threads. Every call can be repeated safely, and is."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        token_file: Path | None = None,
        handover: str = "",
        patience_s: float = PATIENCE_S,
        disk_patience_s: float = DISK_PATIENCE_S,
    ) -> None:
        """token_file: read instead of `token`, and again when the service refuses it.

        handover: the folder of a service on this machine for files; empty: they are sent.
        """
        import httpx

        from cli.api.token_file import TokenFile

        self.url, self.handover = url.rstrip("/"), handover
        self.on_wait: Callable[[str], None] = lambda _: None  # called once for each reason
        self._patience_s, self._disk_patience_s = patience_s, disk_patience_s
        self._reported: set[str] = set()
        self._stopped = threading.Event()
        self._http = httpx.Client(
            base_url=self.url + "/api/v1/",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            auth=TokenFile(partial(_read_token, token_file)) if token_file else None,
            timeout=TIMEOUT,
            trust_env=False,  # no proxy between the client and loopback
            verify=ssl_context(self.url),
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        return self.request("GET", path, params=parameters)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self.request("POST", path, json=dict(body or {}))

    def create_job(self, name: str) -> dict[str, Any]:
        return self.post("jobs", {"name": name, "key": uuid4().hex})

    def job(self, job_id: str, *, wait_s: int = 0) -> dict[str, Any]:
        """wait_s: the longest that the service may wait for its end before it answers."""
        prefer = {"Prefer": f"wait={wait_s}"} if wait_s else {}
        return self.request("GET", job_path(job_id), headers=prefer)

    def close_job(self, job_id: str, *, missing: str = "refuse") -> dict[str, Any]:
        """missing: what to do if declared files have not arrived, "refuse" or "give_up"."""
        return self.post(f"{job_path(job_id)}/close", {"missing": missing})

    def declare(self, job_id: str, files: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Declare at most 1000 files (`file`, `size`, `sha256`); return what is known of each."""
        answer = self.post(f"{job_path(job_id)}/uploads", {"files": files})
        uploads: list[dict[str, Any]] = answer["uploads"]
        return uploads

    def missing_uploads(self, job_id: str) -> Iterator[dict[str, Any]]:
        return self.pages(f"{job_path(job_id)}/uploads", "uploads", state="missing")

    def pages(self, path: str, items: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield all items of a paged list; pages are requested as they are needed."""
        page: int | None = 1
        while page:
            answer = self.get(path, page=page, **parameters)
            yield from answer[items]
            page = answer["next"]

    def send_batch(self, job_id: str, contents: Mapping[int, bytes]) -> list[dict[str, Any]]:
        """Send whole declared files, by upload, in one request; return what became of each."""
        ids = ",".join(map(str, contents))
        answer = self._patch(f"uploads?ids={ids}", job_id, b"".join(contents.values()))
        uploads: list[dict[str, Any]] = answer["uploads"]
        return uploads

    def hand_over(self, job_id: str, token: str, ids: Iterable[int]) -> list[dict[str, Any]]:
        """Whole declared files, of which copies lie beside the file store; as `send_batch`."""
        body = {"token": token, "ids": list(ids)}
        path = f"{job_path(job_id)}/uploads/handed-over"
        answer = self.request("POST", path, json=body, timeout=UPLOAD_TIMEOUT)
        uploads: list[dict[str, Any]] = answer["uploads"]
        return uploads

    def send_chunk(
        self, job_id: str, upload_id: int, content: bytes, *, offset: int
    ) -> dict[str, Any]:
        """Send bytes of a declared file. Raises WrongOffsetError if others are expected."""
        where = {"Upload-Offset": str(offset)}
        return self._patch(f"uploads/{upload_id}", job_id, content, **where)

    @contextmanager
    def stream_results(self, *, job_id: str | None, format_: str) -> Iterator[Iterator[str]]:
        """Lines of JSON or CSV, each with its line break, as they arrive."""
        import httpx

        params = {"format": format_} | ({"job_id": job_id} if job_id is not None else {})
        request = self._http.build_request("GET", "results", params=params)

        def send() -> "httpx.Response":
            response = self._http.send(request, stream=True)
            if response.is_error:
                response.read()
            return check_response(response)

        response = self._retry(send)
        try:
            if response.headers.get("Content-Type", "text/html").startswith("text/html"):
                raise unexpected_response(response)
            yield _lines(response.iter_bytes())
        except httpx.TransportError as error:
            raise Failed(f"{self.url} does not answer: {error}") from None
        finally:
            response.close()

    def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Return the JSON object that the service answers."""

        def send() -> dict[str, Any]:
            response = check_response(self._http.request(method, path, **options))
            try:
                content = response.json()
            except ValueError:  # a page, of a proxy or another program
                raise unexpected_response(response) from None
            if not isinstance(content, dict):
                raise unexpected_response(response)
            return content

        return self._retry(send)

    def _patch(self, path: str, job_id: str, content: bytes, **headers: str) -> dict[str, Any]:
        return self.request(
            "PATCH",
            f"{job_path(job_id)}/{path}",
            content=content,
            headers=headers | {"Content-Type": "application/offset+octet-stream"},
            timeout=UPLOAD_TIMEOUT,  # a zip is unpacked before the answer is sent
        )

    def stop(self) -> None:
        """End all waiting for another attempt, in all threads."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    def _retry(self, send: Callable[[], Answer]) -> Answer:
        import httpx

        failing_since, pause = math.inf, 0.2
        while True:
            try:
                return send()
            except InProgressError as error:
                failure = Failed(f"{self.url}: {error}")
                failing_since, patience_s = math.inf, 0.0  # it answers, so it is available
                waiting = "the service is still processing an earlier request; waiting"
            except (httpx.TransportError, BusyError) as error:
                if problem := tls_problem(error):
                    raise Failed(f"{self.url}: {problem}") from None
                failure = Failed(f"{self.url} does not answer: {error}")
                # Since the first failure: a proxy may have waited for long before it gave up.
                failing_since = min(failing_since, monotonic())
                patience_s, waiting = self._patience_s, "the service does not answer; trying again"
            except DiskFullError as error:
                failure, patience_s = error, self._disk_patience_s
                failing_since = min(failing_since, monotonic())
                waiting = "the service's disk is nearly full; waiting for free space"
            if self.is_stopped or monotonic() + pause > failing_since + patience_s:
                raise failure
            if waiting not in self._reported:
                self._reported.add(waiting)
                self.on_wait(waiting)
            if self._stopped.wait(pause):
                raise failure
            pause = min(2 * pause, MAX_PAUSE_S)


def job_path(job_id: str) -> str:
    return f"jobs/{quote(job_id, safe='')}"


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Split at "\n" alone: file names may contain other line separators of Unicode."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from (line.decode() + "\n" for line in lines)
    if rest:
        yield rest.decode()


def connect() -> Client:
    """Connect to the service of OVERREAD_URL, else to the one running on the data folder."""
    from cli.settings import read_settings

    settings = read_settings()
    token = settings.token.get_secret_value()
    if settings.url:
        if not token:
            raise UsageProblem("OVERREAD_TOKEN is required with OVERREAD_URL")
        client = Client(settings.url, token)
    else:
        service = running_service(settings.data_dir)
        if service is None:
            raise no_service(settings)
        file = None if token else Path(service.token_file)
        client = Client(service.url, token, token_file=file, handover=service.handover)
    client.on_wait = lambda line: click.echo(line, err=True)
    return client


def no_service(settings: "CommandSettings") -> UsageProblem:
    data = str(settings.data)
    folder = data if settings.data.is_absolute() or data.startswith(".") else f"./{data}"
    return UsageProblem(f"no service is running for {folder}; start it with: overread up")


def _read_token(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise UsageProblem(f"{file}: cannot be read: {error.strerror}") from None
