"""The Flask application of portal and API."""

from inspect import getmembers, isfunction
from typing import Any

from apiflask import APIFlask
from flask_login import current_user

from models.config.settings import Settings
from models.context import open_context
from models.learning.nights import STAGES
from pipeline import text
from pipeline.types import HEATMAP_FULL_SCALE
from web.auth import account, invitations, login, second_factor, tokens, users
from web.auth.credentials import limiter
from web.auth.rules import install_auth
from web.context import KEY
from web.http import filters, label_filters
from web.http.errors import install_errors
from web.http.forms import JsonProvider, PortalRequest
from web.http.limits import check_request, install_limits
from web.http.openapi import complete, install_openapi
from web.http.params import RowId
from web.http.request_log import install_request_log
from web.http.security import NOTICE, install_security
from web.intake import jobs, uploads
from web.labels import views as labels
from web.learning import about, cards, nights, rereadings, snapshots, versions, wording
from web.operations import audit as audits
from web.operations import health, metrics, purges, terms
from web.readiness import KEY as READINESS
from web.readiness import Readiness
from web.reading import images, results, studies
from worker.enqueue import connect

MODULES = (
    *(login, invitations, account, second_factor, users, tokens),
    *(jobs, uploads),
    *(studies, images, labels, results),
    *(nights, versions, rereadings, snapshots, about),
    *(purges, audits, terms, health, metrics),
)


def create_app(settings: Settings | None = None) -> APIFlask:
    """For gunicorn: `web.app:create_app()`. The database must have been upgraded."""
    settings = settings or Settings.read()
    app = APIFlask(
        __name__,
        title="Overread",
        version="1",
        spec_path=None,  # `install_openapi` adds it
        docs_path=None,  # its page loads scripts from other hosts
        json_errors=False,
    )
    app.request_class, app.json = PortalRequest, JsonProvider(app)
    # Merging slashes would redirect to the host named by the request.
    app.url_map.merge_slashes = False
    app.url_map.converters["int"] = RowId
    app.extensions[KEY] = open_context(settings)
    app.extensions[READINESS] = Readiness(app.extensions[KEY])
    connect(settings)
    install_request_log(app)
    metrics.install_metrics(app)
    install_security(app, settings, session_key=app.extensions[KEY].secrets.session_key)
    install_limits(app, settings)
    install_auth(app)
    limiter.init_app(app)
    app.before_request(check_request)
    install_errors(app)
    _install_filters(app)
    for module in MODULES:
        app.register_blueprint(module.bp)
    _describe(app)
    return app


def _install_filters(app: APIFlask) -> None:
    """Every function of these modules is a filter of templates."""
    for module in (filters, label_filters, wording, cards, text):
        app.jinja_env.filters.update(getmembers(module, isfunction))
    app.jinja_env.globals.update(
        NOTICE=NOTICE,
        NO_ANSWER=filters.NO_ANSWER,
        STATES=filters.STATES,
        STAGE_WORDS=STAGES,
        HEATMAP_FULL_SCALE=HEATMAP_FULL_SCALE,
        person=current_user,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def _describe(app: APIFlask) -> None:
    app.description = f"{NOTICE} Errors are problem details (RFC 9457)."
    install_openapi(app)

    @app.spec_processor
    def finish(spec: dict[str, Any] | str) -> dict[str, Any]:
        assert isinstance(spec, dict)
        labels.describe_table(uploads.describe_pieces(jobs.describe_requests(spec)))
        complete(app, spec)
        return spec
