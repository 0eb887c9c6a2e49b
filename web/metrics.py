"""/metrics: figures in Prometheus' words, the database's and those of this process's requests."""

from typing import cast

from apiflask import APIBlueprint
from flask import Flask, Response, current_app, request
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import choose_encoder

from models.tables.people import Role
from web.auth import needs
from web.request_log import route, seconds_taken
from web.service_figures import ServiceFigures
from web.services import KEY as SERVICES

bp = APIBlueprint("metrics", __name__, tag="Health")

KEY = "overread-metrics"
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


@bp.get("/metrics")
@bp.doc(hide=True)
@needs(Role.VIEWER)
def show() -> Response:
    """Prometheus comes with a viewer's token: `authorization: {credentials: ...}`."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    registry = cast(CollectorRegistry, current_app.extensions[KEY])
    return Response(encode(registry), content_type=content_type)


def install_metrics(app: Flask) -> None:
    """A registry of its own for each app: the library's is one for all of a process."""
    registry = CollectorRegistry()
    registry.register(ServiceFigures(app.extensions[SERVICES]))
    times = Histogram(
        "overread_request_duration_seconds",
        "Until the portal's answer began, by route template.",
        ("method", "route", "status"),
        buckets=BOUNDS_S,
        registry=registry,
    )

    def observe(answer: Response) -> Response:
        method = request.method if request.method in METHODS else "other"
        times.labels(method, route(), str(answer.status_code)).observe(seconds_taken())
        return answer

    app.extensions[KEY] = registry
    app.after_request(observe)
