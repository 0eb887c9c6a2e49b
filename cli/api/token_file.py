"""The local token, which the service replaces at each start and once a day."""

from collections.abc import Callable, Generator

import httpx


class TokenFile(httpx.Auth):
    """Send the token; where it is refused, and the file holds another one by now, that one."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._token = read()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        sent = self._token
        request.headers["Authorization"] = f"Bearer {sent}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._token = self._read()
            if self._token != sent:
                request.headers["Authorization"] = f"Bearer {self._token}"
                yield request
