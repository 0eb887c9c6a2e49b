"""A portal on its own port for commands and browsers, behind an interceptor."""

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from click.testing import Result
from werkzeug.serving import make_server

from cli.service.processes import portal as portal_program
from models.config.settings import Settings
from models.intake.jobs import JobProgress, list_jobs
from models.tables.people import Role
from tests.support.servers.command import run
from tests.support.servers.databases import open_database
from tests.support.web.portal import Portal
from web.app import create_app
from web.context import KEY

Environment = dict[str, Any]
# Called before each request; a number it returns is the response's status instead of the portal's.
Handler = Callable[[Environment], int | None]


@dataclass
class Interceptor:
    """requests: method, last part of the path, `Upload-Offset`, bytes of the body."""

    portal: Callable[..., Iterable[bytes]]
    handler: Handler = lambda _: None
    requests: list[tuple[str, str, int, int]] = field(default_factory=list)

    def __call__(self, environ: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        last = environ["PATH_INFO"].rsplit("/", 1)[1]
        offset = int(environ.get("HTTP_UPLOAD_OFFSET", -1))
        self.requests.append((environ["REQUEST_METHOD"], last, offset, len(body)))
        if (status := self.handler(environ)) is not None:
            start_response(f"{status} ", [("Content-Length", "0")])
            return [b""]
        return self.portal(environ, start_response)

    def pieces(self) -> list[tuple[int, int]]:
        """Offset and size of every piece that was sent."""
        return [(offset, size) for *_, offset, size in self.requests if offset >= 0]

    def sent(self, method: str, last: str) -> int:
        return sum(1 for request in self.requests if request[:2] == (method, last))


@dataclass(frozen=True)
class ServedPortal:
    portal: Portal
    interceptor: Interceptor
    url: str
    token: str
    settings: Settings

    def newest_job(self) -> JobProgress:
        with self.portal.database.sessions() as session:
            return list_jobs(session).items[0]

    @property
    def environment(self) -> dict[str, str]:
        """In which commands find this portal."""
        data = str(self.settings.data_dir / "of the sender")
        return {"OVERREAD_URL": self.url, "OVERREAD_TOKEN": self.token, "OVERREAD_DATA": data}

    def run(self, *arguments: object, **environment: str) -> Result:
        """Run a command against this portal."""
        return run(*arguments, **self.environment | environment)


@contextmanager
def serve_portal(settings: Settings, *, role: Role = Role.OPERATOR) -> Iterator[ServedPortal]:
    """role: of the token that commands send. On SQLite."""
    with open_database(settings, make_tables=True) as database:
        app = create_app(settings)
        app.testing = True
        app.config["PROPAGATE_EXCEPTIONS"] = False
        portal = Portal(database, app, app.extensions[KEY])
        interceptor = Interceptor(app.wsgi_app)
        app.wsgi_app = interceptor  # type: ignore[method-assign]
        with serve_app(app) as url:
            yield ServedPortal(portal, interceptor, url, portal.token(role), settings)
        portal.context.close()


@contextmanager
def serve_app(app: Callable[..., Iterable[bytes]]) -> Iterator[str]:
    """Serve a WSGI application from a thread of the test; yield its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def portal_threads() -> int:
    """Of the portal under gunicorn."""
    command = portal_program(host="127.0.0.1", port=1).command
    return int(command[command.index("--threads") + 1])
