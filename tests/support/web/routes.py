"""Every route of the portal with each of its methods and a path for requests."""

from collections.abc import Mapping
from dataclasses import dataclass

from werkzeug.routing import IntegerConverter, PathConverter
from werkzeug.routing import Rule as Route

from tests.support.web.portal import Portal

UNUSED_ID = 999_999  # no row has this id, so that a walk does not revoke its own token


@dataclass(frozen=True)
class Walked:
    """One method of one route."""

    method: str
    pattern: str
    path: str
    endpoint: str
    table_key: str  # HEAD counts as GET


def walk(portal: Portal, **ids: int | str) -> list[Walked]:
    """ids: existing ids by the name of their route parameter."""
    return [
        Walked(
            method,
            route.rule,
            path_of(portal, route, ids),
            route.endpoint,
            table_key(route, method),
        )
        for route in portal.app.url_map.iter_rules()
        for method in sorted(route.methods or ())
    ]


def table_key(route: Route, method: str) -> str:
    is_implied = method == "HEAD" and "GET" in (route.methods or ())
    return f"{'GET' if is_implied else method} {route.rule}"


def path_of(portal: Portal, route: Route, ids: Mapping[str, int | str]) -> str:
    values = {name: ids.get(name) or placeholder(route, name) for name in route.arguments}
    return str(portal.app.url_map.bind("").build(route.endpoint, values, method=None))


def placeholder(route: Route, name: str) -> int | str:
    converter = route._converters[name]
    if isinstance(converter, IntegerConverter):
        return UNUSED_ID
    return "overread.css" if isinstance(converter, PathConverter) else "0" * 32
