"""What every operation of the API's description has in common, from the rules that are enforced.

APIFlask describes what a view declares: fields, and errors of its own such as 409.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

from apiflask import APIFlask
from flask import Response, current_app, jsonify, request
from werkzeug.routing import Rule

from models.tables.people import Role
from pipeline.text import bytes_words
from web.auth.rules import RECENT, RULE, needs
from web.http.errors import PROBLEM, TITLES, WAITING
from web.http.limits import body_limit, rate_of
from web.http.params import LARGEST
from web.http.schemas import Problem

Json = dict[str, Any]
View = Callable[..., Any]

PATH = "/api/v1/openapi.json"
KEY = "overread-openapi"
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}


def install_openapi(app: APIFlask) -> None:
    app.config["VALIDATION_ERROR_SCHEMA"] = Problem.model_json_schema()
    app.config["HTTP_ERROR_SCHEMA"] = Problem.model_json_schema()
    app.config["AUTO_OPERATION_ID"] = True
    app.config["AUTO_200_RESPONSE"] = False  # views that declare no fields, pages, are left out
    app.config["AUTO_SERVERS"] = False  # it would name the host of the first request
    app.security_schemes = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "overread"},
    }
    app.add_url_rule(PATH, "openapi.spec", _show)


@needs(Role.VIEWER)
def _show() -> Response:
    app = cast(APIFlask, current_app)
    if KEY not in app.extensions:
        app.extensions[KEY] = app.spec
    return jsonify(app.extensions[KEY] | {"servers": [{"url": request.script_root or "/"}]})


def complete(app: APIFlask, spec: Json) -> None:
    """Add roles, limits and errors to the description."""
    spec["security"] = [{"token": []}, {"session": []}]
    for rule, method, operation in _operations(app, spec):
        view = app.view_functions[rule.endpoint]
        _describe_path(rule, operation)
        _describe_rules(view, operation)
        _describe_body(operation, spec["components"]["schemas"])
        if view.__dict__[RULE] is not None:
            _describe_errors(method, operation)
    for name in ("HTTPError", "ValidationError"):
        spec["components"]["schemas"].pop(name, None)
    spec["components"]["schemas"]["Problem"] = Problem.model_json_schema()
    spec["components"]["responses"] = {f"Error{status}": _error(status) for status in TITLES}


def _operations(app: APIFlask, spec: Json) -> Iterator[tuple[Rule, str, Json]]:
    for rule in app.url_map.iter_rules():
        item = spec["paths"].get(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), {})
        for method in rule.methods or ():
            if method.lower() in item:
                yield rule, method, item[method.lower()]


def _describe_path(rule: Rule, operation: Json) -> None:
    row_ids = re.findall(r"<int:(\w+)>", rule.rule)
    for parameter in operation["parameters"]:
        if parameter["in"] == "path" and parameter["name"] in row_ids:
            parameter["schema"] = {"type": "integer", "minimum": 1, "maximum": LARGEST}


def _describe_rules(view: View, operation: Json) -> None:
    role, rate, limit = view.__dict__[RULE], rate_of(view), body_limit(view)
    words = [operation.get("description", "")]
    if role is None:
        operation["security"] = []
        words.append("Needs no login.")
    else:
        operation["x-required-role"] = role.value
        words.append(f"Needs the role {role.value}, or a higher one.")
    if view.__dict__.get(RECENT):
        words.append("In a session, the password must have been given within ten minutes (403).")
    if "requestBody" in operation:
        words.append(f"The body may have at most {bytes_words(limit)}." if limit else "")
    if rate is not None:
        words.append(f"A user may send at most {rate}.")
    operation["description"] = "\n\n".join(filter(None, words))


def _describe_body(operation: Json, schemas: Json) -> None:
    """A JSON body may be left out where an empty object would do."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        model = schemas.get(content["schema"].get("$ref", "").rpartition("/")[2], {"required": []})
        operation["requestBody"]["required"] = not {"required", "oneOf"}.isdisjoint(model)


def _describe_errors(method: str, operation: Json) -> None:
    statuses = {401, 403, 422, 429, 503}
    if method in CHANGING:
        statuses |= {400, 413, 507}
    if "requestBody" in operation:
        statuses.add(415)
    responses = operation["responses"]
    statuses |= {int(status) for status in responses if status >= "400"}
    for status in sorted(statuses):
        responses[str(status)] = {"$ref": f"#/components/responses/Error{status}"}


def _error(status: int) -> Json:
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    headers = {"headers": _RETRY} if status in WAITING else {}
    return {"description": TITLES[status], "content": content} | headers
