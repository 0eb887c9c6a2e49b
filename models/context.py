"""The application context: what a process opens once and passes to its functions."""

import threading
from dataclasses import dataclass, field
from functools import cache

from models.config.secrets import Secrets, read_or_make_secrets
from models.config.settings import Settings
from models.files.store import FileStore
from models.session import Sessions, make_sessions


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
    return AppContext(
        settings=settings,
        sessions=make_sessions(settings),
        store=FileStore(settings.files_dir),
        secrets=read_or_make_secrets(settings.data_dir),
    )


@cache
def process_context() -> AppContext:
    return open_context(Settings.read())
