"""The process's `AppContext`, kept by the Flask application, and its database sessions."""

from contextlib import AbstractContextManager
from typing import cast

from flask import current_app
from sqlalchemy.orm import Session

from models.config.settings import Settings
from models.context import AppContext

KEY = "overread"


def current_context() -> AppContext:
    return cast(AppContext, current_app.extensions[KEY])


def current_settings() -> Settings:
    return current_context().settings


def read_session() -> AbstractContextManager[Session]:
    return current_context().sessions()


def write_session() -> AbstractContextManager[Session]:
    """A transaction: committed at the end, rolled back by an exception."""
    return current_context().sessions.begin()
