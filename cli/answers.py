"""What the service's answers mean for a command: fine, no, not now, not there, not from here."""

import httpx

from cli.fatal import Failed

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


def checked(answer: httpx.Response) -> httpx.Response:
    if answer.status_code in BUSY:
        raise BusyError(_title(answer))
    if answer.status_code in (401, 403):
        raise Failed(f"{answer.url.host} refuses this token: {_title(answer)}")
    if answer.status_code == 404:
        raise NotFoundError
    if answer.status_code == 507:
        raise DiskFullError
    if answer.status_code == CONFLICT and (offset := answer.headers.get("Upload-Offset")):
        if offset == answer.request.headers.get("Upload-Offset"):
            raise BusyError(_title(answer))  # a request that we gave up is still at work there
        raise WrongOffsetError(int(offset))
    if answer.is_redirect:  # followed, the token might go to someone else
        raise Failed(f"{answer.url} leads to {answer.headers['Location']}: is that the address?")
    if answer.is_error:
        raise Refused(_title(answer), answer.status_code)
    return answer


def _title(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["title"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
