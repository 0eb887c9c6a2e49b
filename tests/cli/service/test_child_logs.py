"""Log lines of the supervisor's processes: few as text, all of them as JSON."""

import io
import json
import logging
import os
import sys

from cli.service.processes import Program
from cli.service.supervisor import Child, Supervisor
from models.config.logs import make_formatter
from tests.support.servers.service import wait_until

PRINTS = """
print("2026-11-23 06:00:00,000 INFO web.http.request_log: GET / 200")
print("2026-11-23 06:00:00,000 ERROR web.http.request_log: worth knowing")
print("2026-11-23 06:00:00,000 INFO gunicorn.error: up")
print('{"process": "one", "logger": "web.http.request_log", "message": "the end"}', flush=True)
"""


def _logged(log_format: str) -> list[str]:
    log = io.StringIO()
    program = Program("one", (sys.executable, "-c", PRINTS), quiet=(" web.http.request_log: ",))
    environment = {**os.environ, "OVERREAD_LOG_FORMAT": log_format}
    Child(program, environment=environment, log=log, on_exit=lambda _: None)
    wait_until(lambda: "the end" in log.getvalue(), within_s=20, what="the last line")
    return log.getvalue().splitlines()


def test_text_log_leaves_out_quiet_lines() -> None:
    lines = _logged("text")
    assert all(line.startswith("one     | ") for line in lines)
    assert [line.rpartition(": ")[2] for line in lines] == ["worth knowing", "up", '"the end"}']


def test_json_log_contains_only_json() -> None:
    lines = [json.loads(line) for line in _logged("json")]
    assert [one["process"] for one in lines] == ["one"] * 3
    assert lines[0]["message"].endswith("ERROR web.http.request_log: worth knowing")
    assert lines[2]["logger"] == "web.http.request_log"


def test_supervisor_logs_json() -> None:
    log = io.StringIO()
    Supervisor(environment={"OVERREAD_LOG_FORMAT": "json"}, log=log).log("waiting")
    assert json.loads(log.getvalue()) == {"process": "up", "message": "waiting"}


def test_formatter_leaves_out_celery_arguments() -> None:
    record = logging.LogRecord("celery", logging.INFO, "", 0, "received", (), None)
    record.data = {"args": "Mustermann"}
    record.jobs = ["a", "b"]
    line = json.loads(make_formatter("json", process="ingest").format(record))
    assert line["process"] == "ingest"
    assert line["jobs"] == ["a", "b"]
    assert "data" not in line
    assert make_formatter("text", process="ingest").format(record).endswith("received jobs=a,b")
