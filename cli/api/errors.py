"""Errors by which the service, or a proxy in front of it, answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.errors import Failed, UsageProblem
from pipeline.text import readable

if TYPE_CHECKING:
    import httpx

BUSY = {429, 500, 502, 503, 504}  # 500: its database may be restarting
CONFLICT = 409


class Refused(Failed):
    """The service rejects the request; trying again changes nothing."""

    def __init__(self, title: str, status: int) -> None:
        super().__init__(f"the service refused: {title}")
        self.title = title
        self.status = status


class NotFoundError(Exception):
    """The service knows no item of this name or id."""


@contextmanager
def not_found(what: str) -> Iterator[None]:
    """Report a NotFoundError as a usage error."""
    try:
        yield
    except NotFoundError:
        raise UsageProblem(f"{what} not found") from None


class WrongOffsetError(Exception):
    """The service expects bytes from another offset."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"expected bytes from offset {offset}")
        self.offset = offset


class DiskFullError(Failed):
    def __init__(self) -> None:
        super().__init__(
            "the service's disk is nearly full; no sent file is lost; "
            "run the same command again later"
        )


class BusyError(Exception):
    """The service is unavailable or limits the rate; try again."""


class InProgressError(Exception):
    """The service is still processing an earlier attempt of this request."""


def check_response(response: "httpx.Response") -> "httpx.Response":
    """Return the response; raise the error that its status means."""
    status, title = response.status_code, _title(response)
    if status in BUSY:
        raise BusyError(title or f"HTTP {status}")
    if status in (401, 403):
        raise Failed(f"{response.url.host} refused this token: {title or f'HTTP {status}'}")
    if status == 413 and title is None:
        # Not a fault of this one file: sending the smaller ones would leave a job with gaps.
        size_mib = int(response.request.headers.get("Content-Length", 0)) / 2**20
        raise Failed(
            f"a proxy in front of {response.url.host} refused a request of {size_mib:.0f} MiB "
            "(HTTP 413): set its limit to 64 MiB, then run the same command again"
        )
    if status == 404:
        raise NotFoundError if title else unexpected_response(response)
    if status == 507:
        raise DiskFullError
    if status == CONFLICT and (offset := response.headers.get("Upload-Offset")):
        if offset == response.request.headers.get("Upload-Offset"):
            raise InProgressError(title)
        raise WrongOffsetError(int(offset))
    if response.is_redirect:  # following it could hand the token to someone else
        target = response.headers["Location"]
        raise Failed(f"{response.url} redirects to {target}; is the URL right?")
    if response.is_error:
        raise Refused(title or f"HTTP {status}", status)
    return response


def unexpected_response(response: "httpx.Response") -> Failed:
    return Failed(f"{response.url} is not an Overread service")


def _title(response: "httpx.Response") -> str | None:
    """Return the service's own message; None if something else answered."""
    if not response.is_error:
        return None
    try:
        return readable(str(response.json()["title"]))
    except (ValueError, KeyError, TypeError):
        return None
