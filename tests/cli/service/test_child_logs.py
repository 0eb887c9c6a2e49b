"""What the supervisor makes of its processes' lines: few for people, all of them for machines."""

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
    program = Program("one", (sys.executable, "-c", PRINTS), hushed=(" web.http.request_log: ",))
    environment = {**os.environ, "OVERREAD_LOG_FORMAT": log_format}
    Child(program, environment=environment, log=log, on_exit=lambda _: None)
    wait_until(lambda: "the end" in log.getvalue(), within_s=20, what="the last line")
    return log.getvalue().splitlines()


def test_people_read_what_is_worth_it() -> None:
    lines = _logged("text")
    assert all(line.startswith("one     | ") for line in lines)
    assert [line.rpartition(": ")[2] for line in lines] == ["worth knowing", "up", '"the end"}']


def test_machines_get_json_and_nothing_else() -> None:
    said = [json.loads(line) for line in _logged("json")]
    assert [one["process"] for one in said] == ["one"] * 3
    assert said[0]["message"].endswith("ERROR web.http.request_log: worth knowing")
    assert said[2]["logger"] == "web.http.request_log"


def test_the_supervisor_speaks_json_too() -> None:
    log = io.StringIO()
    Supervisor(environment={"OVERREAD_LOG_FORMAT": "json"}, log=log).say("waiting")
    assert json.loads(log.getvalue()) == {"process": "up", "message": "waiting"}


def test_celerys_copies_of_arguments_are_left_out() -> None:
    record = logging.LogRecord("celery", logging.INFO, "", 0, "received", (), None)
    record.data = {"args": "Mustermann"}
    record.jobs = ["a", "b"]
    line = json.loads(make_formatter("json", process="ingest").format(record))
    assert line["process"] == "ingest"
    assert line["jobs"] == ["a", "b"]
    assert "data" not in line
    assert make_formatter("text", process="ingest").format(record).endswith("received jobs=a,b")
