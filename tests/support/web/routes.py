"""Every route of the portal, by every method, with a path on which to try it."""

from collections.abc import Mapping
from dataclasses import dataclass

from werkzeug.routing import IntegerConverter, PathConverter
from werkzeug.routing import Rule as Route

from tests.support.web.portal import Portal

NOTHING = 999_999  # no row has this id: a walk must not revoke its own token, say


@dataclass(frozen=True)
class Walked:
    """One method of one route."""

    method: str
    pattern: str
    path: str
    endpoint: str
    written: str  # in the table: a HEAD that came with a GET stands for it


def walk(portal: Portal, **there: int | str) -> list[Walked]:
    """there: ids of what is there, by the name that the routes give them."""
    return [
        Walked(
            method,
            route.rule,
            path_of(portal, route, there),
            route.endpoint,
            written(route, method),
        )
        for route in portal.app.url_map.iter_rules()
        for method in sorted(route.methods or ())
    ]


def written(route: Route, method: str) -> str:
    came_with_get = method == "HEAD" and "GET" in (route.methods or ())
    return f"{'GET' if came_with_get else method} {route.rule}"


def path_of(portal: Portal, route: Route, there: Mapping[str, int | str]) -> str:
    values = {name: there.get(name) or filled(route, name) for name in route.arguments}
    return str(portal.app.url_map.bind("").build(route.endpoint, values, method=None))


def filled(route: Route, name: str) -> int | str:
    converter = route._converters[name]
    if isinstance(converter, IntegerConverter):
        return NOTHING
    return "overread.css" if isinstance(converter, PathConverter) else "0" * 32
