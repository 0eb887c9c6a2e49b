"""Triggers that keep counts of rows in `kept_count`, in the transaction that changes the rows.

Triggers, so that no statement can forget them, whatever it changes. SQLite has one writer, and
changes the one row of a count. On PostgreSQL a statement adds what it has changed as rows of its
own: writers do not wait for one another.

Migrations make them by these functions, too. Where they change, a migration drops the old ones and
makes them again; so does one that replaces a counted table in a batch.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

EVENTS = {"insert": ("new",), "delete": ("old",), "update": ("old", "new")}
_INSERT = "INSERT INTO kept_count (topic, scope, value, n)"
_SIGN = {"old": "-", "new": ""}


@dataclass(frozen=True)
class Counted:
    """scope, value: SQL of a row, named `{row}`. columns: those that they read."""

    table: str
    topic: str
    scope: str
    value: str
    columns: tuple[str, ...]

    def scope_and_value(self, row: str) -> str:
        return f"{self.scope.format(row=row)}, {self.value.format(row=row)}"


STUDIES = Counted("study_summary", "studies", "{row}.scope", "{row}.finding", ("scope", "finding"))

# Of rejected and failed images with the reason's code: `rejected:blank`.
IMAGES = Counted(
    "image",
    "images",
    "{row}.job_id",
    "{row}.state || coalesce(':' || {row}.reason_code, '')",
    ("job_id", "state", "reason_code"),
)
UPLOADS = Counted(
    "upload",
    "uploads",
    "{row}.job_id",
    "CASE WHEN {row}.arrived_at IS NOT NULL THEN 'arrived' "
    "WHEN {row}.given_up_at IS NOT NULL THEN 'given_up' ELSE 'missing' END",
    ("job_id", "arrived_at", "given_up_at"),
)
AUDIT = Counted("audit", "audit", "''", "{row}.action", ("action",))
# By the imported set, if any: `pneumonia` or `pneumonia:conflict`.
LABELS = Counted(
    "valid_label",
    "labels",
    "coalesce(CAST({row}.dataset_id AS TEXT), '')",
    "{row}.value || CASE WHEN {row}.is_conflict THEN ':conflict' ELSE '' END",
    ("dataset_id", "value", "is_conflict"),
)
COUNTED = (STUDIES, IMAGES, UPLOADS, AUDIT, LABELS)


def make_triggers(connection: Connection, counted: Counted) -> None:
    statements = _postgres if connection.dialect.name == "postgresql" else _sqlite
    for statement in statements(counted):
        connection.exec_driver_sql(statement)


def recount_rows(connection: Connection, counted: Counted) -> None:
    """Of a table that nobody else writes."""
    connection.exec_driver_sql(f"DELETE FROM kept_count WHERE topic = '{counted.topic}'")
    connection.exec_driver_sql(
        f"{_INSERT} SELECT '{counted.topic}', {counted.scope_and_value('row')}, count(*) "
        f"FROM {counted.table} AS row GROUP BY 2, 3"
    )


def drop_triggers(connection: Connection, counted: Counted) -> None:
    """Before or after the table itself is dropped."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"DROP FUNCTION {_name(counted)} CASCADE")
        return
    for when in EVENTS:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {_name(counted)}_{when}")


def _name(counted: Counted) -> str:
    return f"count_{counted.topic}"


def _sqlite(counted: Counted) -> list[str]:
    of_columns = {"update": f" OF {', '.join(counted.columns)}"}
    return [
        f"CREATE TRIGGER {_name(counted)}_{when} AFTER {when.upper()}{of_columns.get(when, '')} "
        f"ON {counted.table} BEGIN {' '.join(_add(counted, row) for row in rows)} END"
        for when, rows in EVENTS.items()
    ]


def _add(counted: Counted, row: str) -> str:
    one = f"{_SIGN[row]}1"
    key = f"'{counted.topic}', {counted.scope_and_value(row.upper())}"
    return (
        f"UPDATE kept_count SET n = n + {one} WHERE (topic, scope, value) = ({key}); "
        f"{_INSERT} SELECT {key}, {one} WHERE changes() = 0;"
    )


def _postgres(counted: Counted) -> list[str]:
    name = _name(counted)
    changed = {
        when: " UNION ALL ".join(
            f"SELECT {counted.scope_and_value('row')}, {_SIGN[row]}1 FROM {row}_rows AS row"
            for row in rows
        )
        for when, rows in EVENTS.items()
    }
    add = (
        f"{_INSERT} SELECT '{counted.topic}', scope, value, sum(one) "
        "FROM ({}) AS changed (scope, value, one) "
        "GROUP BY scope, value HAVING sum(one) <> 0;"
    )
    branches = " ".join(
        f"IF TG_OP = '{when.upper()}' THEN {add.format(query)} END IF;"
        for when, query in changed.items()
    )
    function = (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {branches} RETURN NULL; END $$"
    )
    triggers = [
        f"CREATE TRIGGER {name}_{when} AFTER {when.upper()} ON {counted.table} "
        f"REFERENCING {' '.join(f'{row.upper()} TABLE AS {row}_rows' for row in rows)} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        for when, rows in EVENTS.items()
    ]
    return [function, *triggers]
