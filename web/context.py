"""What a request needs, opened once per process."""

from dataclasses import dataclass
from typing import cast

from flask import current_app

from models.config.settings import Settings
from models.files.store import FileStore
from models.session import Sessions, make_engine, make_session_factory

KEY = "overread"


@dataclass(frozen=True)
class Services:
    settings: Settings
    sessions: Sessions
    store: FileStore


def make_services(settings: Settings) -> Services:
    sessions = make_session_factory(make_engine(settings))
    return Services(settings, sessions, FileStore(settings.files_dir))


def services() -> Services:
    return cast(Services, current_app.extensions[KEY])
