"""The audit as a file: CSV for spreadsheets, JSON lines for programs."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import Literal

from models.audit.lists import AuditRow
from web.csv_lines import csv_line

Format = Literal["jsonl", "csv"]
COLUMNS = [field.name for field in fields(AuditRow)]


def audit_lines(rows: Iterable[AuditRow], format_: Format) -> Iterator[str]:
    if format_ == "csv":
        yield csv_line(COLUMNS)
    for row in rows:
        yield csv_line(asdict(row).values()) if format_ == "csv" else _json_line(row)


def _json_line(row: AuditRow) -> str:
    return json.dumps(asdict(row) | {"created_at": row.created_at.isoformat()}) + "\n"
