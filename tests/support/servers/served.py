"""A portal that commands and browsers talk to, and someone in between who watches, interferes."""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from click.testing import Result

from models.config.settings import Settings
from models.intake.jobs import JobProgress, list_jobs
from models.tables.people import Role
from tests.support.servers.command import run
from tests.support.servers.databases import open_database
from tests.support.servers.serving import serving
from tests.support.web.portal import Portal
from web.app import create_app
from web.context import KEY

Environment = dict[str, Any]
# Told of every request before it is answered; a number is answered instead of the portal.
Watcher = Callable[[Environment], int | None]


@dataclass
class Between:
    """requests: method, last part of the path, `Upload-Offset`, bytes of the body."""

    portal: Callable[..., Iterable[bytes]]
    watcher: Watcher = lambda _: None
    requests: list[tuple[str, str, int, int]] = field(default_factory=list)

    def __call__(self, environ: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        last = environ["PATH_INFO"].rsplit("/", 1)[1]
        offset = int(environ.get("HTTP_UPLOAD_OFFSET", -1))
        self.requests.append((environ["REQUEST_METHOD"], last, offset, len(body)))
        if (status := self.watcher(environ)) is not None:
            start_response(f"{status} ", [("Content-Length", "0")])
            return [b""]
        return self.portal(environ, start_response)

    def pieces(self) -> list[tuple[int, int]]:
        """Offset and size of every chunk that was sent."""
        return [(offset, size) for method, _, offset, size in self.requests if method == "PATCH"]

    def sent(self, last: str) -> int:
        return sum(1 for method, what, *_ in self.requests if (method, what) == ("POST", last))


@dataclass(frozen=True)
class Served:
    portal: Portal
    between: Between
    url: str
    token: str
    settings: Settings

    def newest_job(self) -> JobProgress:
        with self.portal.database.sessions() as session:
            return list_jobs(session).items[0]

    def run(self, *arguments: object, token: str = "") -> Result:
        """A command of whoever is served, or of who has that token."""
        return run(
            *arguments,
            OVERREAD_URL=self.url,
            OVERREAD_TOKEN=token or self.token,
            OVERREAD_DATA=str(self.settings.data_dir / "of the sender"),
        )


@contextmanager
def served(settings: Settings, *, role: Role = Role.OPERATOR) -> Iterator[Served]:
    """Commands come in as `role`. On SQLite: the databases' part is tested with the portal."""
    with open_database(settings, make_tables=True) as database:
        app = create_app(settings)
        app.testing = True
        app.config["PROPAGATE_EXCEPTIONS"] = False
        portal = Portal(database, app, app.extensions[KEY])
        between = Between(app.wsgi_app)
        app.wsgi_app = between  # type: ignore[method-assign]
        with serving(app) as url:
            yield Served(portal, between, url, portal.token(role), settings)
        portal.context.sessions.engine.dispose()
