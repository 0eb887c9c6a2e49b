"""Routes of the audit log, for admins: show, export, verify."""

from collections.abc import Iterable, Iterator
from typing import Literal

from apiflask import APIBlueprint
from flask import Response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from models.audit.lists import (
    AuditFilter,
    AuditPage,
    AuditRow,
    audit_actions,
    iter_audit,
    list_audit_page,
)
from models.audit.verify import Check, check_audit, newest_check
from models.people.users import list_users
from models.slots import Slots
from models.tables.people import Role
from web.auth.rules import audit, needs
from web.context import current_context, current_settings, read_session
from web.http.export import csv_lines, described, download, json_lines
from web.http.limits import EXPORTS, VERIFICATIONS, at_most
from web.http.params import read_query
from web.operations.schemas import AuditCheckOut, AuditExportQuery, AuditPageQuery, AuditQuery

Format = Literal["jsonl", "csv"]


def audit_lines(rows: Iterable[AuditRow], format_: Format) -> Iterator[str]:
    return csv_lines(AuditRow, rows) if format_ == "csv" else json_lines(rows)


bp = APIBlueprint("audits", __name__, tag="Audit")

PAGE_SIZE = 100
CHECK_SLOTS = Slots("checks of the audit", 1)  # each reads every row


@bp.get("/audit")
@needs(Role.ADMIN)
def show_page() -> str:
    query = read_query(AuditPageQuery)
    data_dir = current_settings().data_dir
    with read_session() as session:
        return render_template(
            "audit.html",
            check=newest_check(data_dir) or _verify(),
            rows=_rows(session, query),
            actions=audit_actions(session),
            people=[user.name for user in list_users(session)],
            query=query,
            kept=query.kept(),
        )


@bp.post("/audit/check")
@at_most(VERIFICATIONS)
@needs(Role.ADMIN)
def check_page() -> ResponseReturnValue:
    _check()
    return redirect(url_for("audits.show_page"), code=303)


@bp.get("/api/v1/audit")
@bp.input(AuditExportQuery, location="query")
@bp.doc(responses=described("One line for each row, oldest first", "jsonl", "csv"))
@at_most(EXPORTS)
@needs(Role.ADMIN)
def export(query_data: AuditExportQuery) -> Response:
    """Export audit rows, oldest first, as JSON lines or CSV."""
    lines = audit_lines(_read(_filter(query_data)), query_data.format)
    return download(lines, name="overread-audit", kind=query_data.format, action="audit.exported")


@bp.post("/api/v1/audit/check")
@bp.output(AuditCheckOut)
@at_most(VERIFICATIONS)
@needs(Role.ADMIN)
def check() -> Check:
    """Verify the audit chain. Takes some seconds for hundreds of thousands of rows."""
    return _check()


def _check() -> Check:
    audit("audit.checked")
    return _verify()


def _verify() -> Check:
    context = current_context()
    key = context.secrets.identity_key
    with CHECK_SLOTS.take():
        return check_audit(context.sessions, context.settings.data_dir, key=key)


def _rows(session: Session, query: AuditPageQuery) -> AuditPage:
    return list_audit_page(
        session,
        _filter(query),
        after=query.after,
        before=query.before,
        page=1 if query.after or query.before else query.page,
        page_size=PAGE_SIZE,
    )


def _filter(query: AuditQuery) -> AuditFilter:
    return AuditFilter(query.action, query.person, query.since, query.until)


def _read(chosen: AuditFilter) -> Iterator[AuditRow]:
    with read_session() as session:
        yield from iter_audit(session, chosen)
