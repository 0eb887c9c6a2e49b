"""Pages and lists of a large archive: how long each takes.

    python -m benchmarks.worklist [--studies 1000000] [--database sqlite] [--times 40]

Fills a database of its own with generated rows in bulk (one image a study, jobs of 10,000, a label
for every tenth, an audit row for each), then asks for each page from within the process. Prints the
median and the 95th percentile in milliseconds, and the CPU time of this process. Each page was
asked for once before, so that what it imports is there. PostgreSQL runs with its default settings,
but without forcing to disk.
"""

import argparse
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sqlalchemy import Connection, select, text

from models.audit.log import chain_older
from models.config.secrets import local_token_path
from models.config.settings import Settings
from models.counts import merge_counts
from models.learning.labels import rebuild_valid_labels
from models.operations.upgrade import upgrade
from models.session import open_database
from models.tables.intake import ModelVersion
from models.tables.people import User
from models.worklist.summaries import refresh_some, summarise_everything
from tests.support.servers.postgres import PostgresServer
from web.app import create_app

JOB = 10_000  # studies
NUMBERS = {
    "sqlite": "(WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers "
    "WHERE i < {last}) SELECT i FROM numbers)",
    "postgresql": "(SELECT i FROM generate_series(1, {last}) AS numbers (i))",
}
TIME = "2026-03-01 12:00:00.000000"
# A number for each row that looks random and comes again with each run.
CHANCE = "(((i % 10007) * 7919 + 12345) % 10007) / 10007.0"


@dataclass(frozen=True)
class Rows:
    """SQL of bulk inserts. {hash}: of the i-th image's bytes. {moment}: the i-th."""

    table: str
    columns: dict[str, str]
    every: int = 1


def all_rows(user_id: int, version_id: int) -> list[Rows]:
    probability = {"logit": "0", "probability": CHANCE, "threshold": "0.5", "temperature": "1.5"}
    finding = (
        f"CASE WHEN i % 50 = 0 THEN NULL WHEN {CHANCE} > 0.9 THEN 'pneumonia' ELSE 'normal' END"
    )
    return [
        Rows(
            "job",
            {
                **{"id": "{job}", "name": "'a folder'", "user_id": f"{user_id}"},
                **{"created_at": "{moment}", "closed_at": "{moment}"},
            },
            every=JOB,
        ),
        Rows(
            "study",
            {"id": "i", "study_hash": "{hash}", "folder": "{label}", "created_at": "{moment}"},
        ),
        Rows(
            "image",
            {
                **{"id": "i", "job_id": "{job}", "study_id": "i", "file": "{label}"},
                **{"sha256": "{hash}", "stored_sha256": "{hash}", "size": "1000", "attempts": "0"},
                **{"state": "'predicted'", "rows": "1000", "columns": "1000"},
                **{"created_at": "{moment}", "finished_at": "{moment}"},
            },
        ),
        Rows(
            "prediction",
            {
                **{
                    "id": "i",
                    "sha256": "{hash}",
                    "model_version_id": f"{version_id}",
                    **probability,
                },
                **{"operating_point": "'balanced'", "finding": finding, "unfamiliarity": "0.1"},
                **{"reason": "CASE WHEN i % 50 = 0 THEN 'unlike a radiograph' END"},
                **{"warnings": "'[]'", "heatmap": "{blob}", "heatmap_rows": "7"},
                **{"heatmap_columns": "7", "heatmap_peak": "1", "engine": "'none'"},
                **{"created_at": "{moment}"},
            },
        ),
        Rows(
            "label",
            {
                **{"sha256": "{hash}", "value": finding.replace("NULL", "'unusable'")},
                **{"reader": "'rita'", "source": "'portal'", "user_id": f"{user_id}"},
                **{"read_at": "{moment}", "created_at": "{moment}"},
            },
            every=10,
        ),
        Rows(
            "audit",
            {
                **{"user_id": f"{user_id}", "action": "'study.viewed'", "target": "{label}"},
                **{"created_at": "{moment}"},
            },
        ),
    ]


def fill(connection: Connection, rows: Rows, *, studies: int) -> None:
    dialect = connection.dialect.name
    padded = "printf('%064d', i)" if dialect == "sqlite" else "lpad(i::text, 64, '0')"
    number = "cast(i AS text)"
    job = f"((i - 1) / {JOB})"
    words = {
        "hash": padded,
        "label": f"('patient ' || {number})",
        "job": f"printf('%032d', {job})" if dialect == "sqlite" else f"lpad({job}::text, 32, '0')",
        "blob": "zeroblob(98)" if dialect == "sqlite" else "decode(repeat('00', 98), 'hex')",
        "moment": (
            f"strftime('%Y-%m-%d %H:%M:%f000', '{TIME}', '+' || i || ' seconds')"
            if dialect == "sqlite"
            else f"(timestamptz '{TIME}+00' + i * interval '1 second')"
        ),
    }
    values = ", ".join(value.format(**words) for value in rows.columns.values())
    numbers = NUMBERS[dialect].format(last=studies)
    columns = ", ".join(f'"{name}"' for name in rows.columns)
    query = f"INSERT INTO {rows.table} ({columns}) SELECT {values} FROM {numbers} AS of_rows"  # noqa: S608
    connection.execute(text(query.replace(":", "\\:") + f" WHERE (i - 1) % {rows.every} = 0"))


def fill_database(settings: Settings, *, studies: int) -> None:
    upgrade(settings)
    with open_database(settings) as sessions:
        with sessions.begin() as session:
            user_id = session.scalars(select(User.id)).first() or 0
            version_id = session.scalars(select(ModelVersion.id)).first() or 0
            connection = session.connection()
            for rows in all_rows(user_id, version_id):
                report(f"rows of {rows.table}", partial(fill, connection, rows, studies=studies))
            report("the chain of the audit", lambda: chain_older(session))
        with sessions.begin() as session:
            report("summaries", lambda: summarise_everything(session))
            report("valid labels", lambda: rebuild_valid_labels(session))
            merge_counts(session)
        if not settings.is_sqlite:  # as autovacuum does within the hour
            with sessions.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as plain:
                plain.execute(text("VACUUM ANALYZE"))
        report("refresh of the summaries", lambda: refresh_all(sessions))


def refresh_all(sessions: Any) -> None:
    is_left = True
    while is_left:
        with sessions.begin() as session:
            is_left = refresh_some(session, operating_point="balanced", limit=500)


def report(what: str, action: Callable[[], object]) -> None:
    started = time.monotonic()
    action()
    print(f"  made {what} in {time.monotonic() - started:.1f} s", flush=True)


def paths(studies: int, chance: random.Random) -> dict[str, Callable[[], str]]:
    """A new address each time, so that nothing is asked for twice."""

    def any_study() -> int:
        return chance.randint(1, studies)

    def any_job() -> str:
        return f"{(any_study() - 1) // JOB:032}"

    def in_list(query: str) -> Callable[[], str]:
        return lambda: f"/studies?{query}&after={any_study()}"

    return {
        "work list": lambda: "/studies",
        "somewhere in it": in_list(""),
        "last page": lambda: "/studies?last=1",
        "pneumonia": in_list("finding=pneumonia"),
        "no finding": in_list("finding=none"),
        "by date": in_list("order=created_at"),
        "by label, ascending": in_list("order=label&descending=0"),
        "by images, normal": in_list("order=images&finding=normal"),
        "of a job": lambda: f"/studies?job_id={any_job()}&last=1",
        "a study": lambda: f"/studies/{any_study()}?finding=normal",
        "API, studies": lambda: f"/api/v1/studies?after={any_study()}",
        "API, page 1,000": lambda: "/api/v1/studies?page=1000",
        "jobs": lambda: "/",
        "a job": lambda: f"/jobs/{any_job()}",
        "API, a job's images": lambda: f"/api/v1/jobs/{any_job()}/images?page=100",
        "labels": lambda: "/labels",
        "API, labels": lambda: "/api/v1/labels",
        "audit": lambda: "/audit",
        "audit, filtered": lambda: "/audit?action=job.created&until=2026-03-02",
        "metrics": lambda: "/metrics",
    }


def measure(settings: Settings, *, studies: int, times: int) -> None:
    app = create_app(settings)
    token = local_token_path(settings.data_dir).read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    client = app.test_client()
    print(f"{'page':24}{'p50':>10}{'p95':>10}{'CPU':>10}   ms")
    for name, path in paths(studies, random.Random(7)).items():  # noqa: S311
        took_ms, cpu_ms = [], []
        client.get(path(), headers=headers)  # imports, and compiles its template
        for _ in range(times):
            started, cpu = time.perf_counter(), time.process_time()
            answer = client.get(path(), headers=headers)
            took_ms.append((time.perf_counter() - started) * 1000)
            cpu_ms.append((time.process_time() - cpu) * 1000)
            if answer.status_code != 200:
                raise SystemExit(f"{name}: {answer.status_code} {answer.text[:200]}")
            if sum(took_ms) > 60_000:
                break
        p50, p95 = np.percentile(took_ms, [50, 95])
        print(f"{name:24}{p50:10.1f}{p95:10.1f}{np.median(cpu_ms):10.1f}", flush=True)


@contextmanager
def database_url(kind: str) -> Iterator[str]:
    if kind == "sqlite":
        yield ""
        return
    server = PostgresServer()
    try:
        yield server.url("postgres").replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--times", type=int, default=40)
    arguments = parser.parse_args()
    kinds = ["sqlite", "postgresql"] if arguments.database == "both" else [arguments.database]
    for kind in kinds:
        with ExitStack() as stack:
            data = Path(stack.enter_context(TemporaryDirectory(prefix="overread-worklist-")))
            url = stack.enter_context(database_url(kind))
            settings = Settings(data=data / "data", disk_reserve_bytes=0, database_url=url)
            print(f"{kind}, {arguments.studies:,} studies, load {os.getloadavg()[0]:.1f}")
            fill_database(settings, studies=arguments.studies)
            measure(settings, studies=arguments.studies, times=arguments.times)


if __name__ == "__main__":
    main()
