"""The process's `AppContext`, kept by the Flask application."""

from typing import cast

from flask import current_app

from models.context import AppContext

KEY = "overread"


def current_context() -> AppContext:
    return cast(AppContext, current_app.extensions[KEY])
