"""Every route of the portal with each of its methods and a path for requests."""

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

    @property
    def table_key(self) -> str:
        """HEAD counts as GET."""
        return f"{self.method.replace('HEAD', 'GET')} {self.pattern}"


def walk(portal: Portal, **ids: int | str) -> list[Walked]:
    """ids: existing ids by the name of their route parameter."""
    urls = portal.app.url_map.bind("")
    found = []
    for route in portal.app.url_map.iter_rules():
        values = {name: ids.get(name) or _placeholder(route, name) for name in route.arguments}
        path = urls.build(route.endpoint, values)
        methods = sorted(route.methods or ())
        found += [Walked(method, route.rule, path, route.endpoint) for method in methods]
    return found


def _placeholder(route: Route, name: str) -> int | str:
    converter = route._converters[name]
    if isinstance(converter, IntegerConverter):
        return UNUSED_ID
    return "overread.css" if isinstance(converter, PathConverter) else "0" * 32
