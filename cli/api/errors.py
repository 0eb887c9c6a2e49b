"""What the service's answers mean for a command: fine, no, not now, not there, not from here."""

import httpx

from cli.errors import Failed
from pipeline.text import readable

BUSY = {429, 500, 502, 503, 504}  # 500, too: its database may be restarting
CONFLICT = 409


class Refused(Failed):
    """The service understood and says no; trying again changes nothing."""

    def __init__(self, title: str, status: int) -> None:
        super().__init__(f"the service refuses: {title}")
        self.title = title
        self.status = status


class NotFoundError(Exception):
    """The service knows nothing of that name or number."""


class WrongOffsetError(Exception):
    """These bytes do not follow on what has arrived: go on from `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"expected bytes from {offset} on")
        self.offset = offset


class DiskFullError(Failed):
    def __init__(self) -> None:
        super().__init__(
            "the service's disk is nearly full; nothing that was sent is lost; "
            "run the same command again later"
        )


class BusyError(Exception):
    """Asked too soon or too often; worth another try."""


class AtWorkError(Exception):
    """The service still works on a request of ours that was given up on the way."""


def checked(answer: httpx.Response) -> httpx.Response:
    status, title = answer.status_code, _title(answer)
    if status in BUSY:
        raise BusyError(title or f"HTTP {status}")
    if status in (401, 403):
        raise Failed(f"{answer.url.host} refuses this token: {title or f'HTTP {status}'}")
    if status == 413 and title is None:
        raise Failed(_too_large_for_proxy(answer))
    if status == 404:
        raise NotFoundError if title else Failed(not_ours(answer))
    if status == 507:
        raise DiskFullError
    if status == CONFLICT and (offset := answer.headers.get("Upload-Offset")):
        if offset == answer.request.headers.get("Upload-Offset"):
            raise AtWorkError(title)
        raise WrongOffsetError(int(offset))
    if answer.is_redirect:  # followed, the token might go to someone else
        raise Failed(f"{answer.url} leads to {answer.headers['Location']}: is that the address?")
    if answer.is_error:
        raise Refused(title or f"HTTP {status}", status)
    return answer


def not_ours(answer: httpx.Response) -> str:
    return f"{answer.url} answers, but not as Overread does"


def _title(answer: httpx.Response) -> str | None:
    """What the service says of an error; None where it is not the service who speaks."""
    if not answer.is_error:
        return None
    try:
        return readable(str(answer.json()["title"]))
    except (ValueError, KeyError, TypeError):
        return None


def _too_large_for_proxy(answer: httpx.Response) -> str:
    """Raised for all files: smaller ones alone would leave a job with gaps."""
    size = int(answer.request.headers.get("Content-Length", 0))
    return (
        f"a proxy before {answer.url.host} takes no request of {size / 2**20:.0f} MiB (HTTP 413): "
        "let it take 64 MiB, then run the same command again"
    )
