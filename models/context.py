"""The application context: what a process opens once and passes to its functions."""

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

from models.config.secrets import Secrets, read_secrets
from models.config.settings import Settings
from models.files.store import FileStore
from models.installation import check_on_connect
from models.session import AWAY, Sessions, make_sessions


@dataclass(frozen=True)
class AppContext:
    settings: Settings
    sessions: Sessions
    store: FileStore
    secrets: Secrets
    # Set when the process is asked to stop: finish or give back the current work.
    stopping: threading.Event = field(default_factory=threading.Event)

    def close(self) -> None:
        self.sessions.engine.dispose()


def open_context(settings: Settings) -> AppContext:
    """Raises SecretsError. Where the database does not answer, its first connection may do so."""
    secrets, sessions = read_secrets(settings.data_dir), make_sessions(settings)
    check_on_connect(sessions.engine, secrets, data_dir=settings.data_dir)
    with suppress(*AWAY):
        sessions.engine.connect().close()
    return AppContext(settings, sessions, FileStore(settings.files_dir), secrets)


@cache
def process_context() -> AppContext:
    return open_context(Settings.read())
