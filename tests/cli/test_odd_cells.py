"""Whatever others have written: no table hands it to the terminal as it is."""

import re
from pathlib import Path

import cli
from models.audit.log import record
from models.config.settings import Settings
from models.tables.people import Role
from tests.support.servers.command import run
from tests.support.servers.served import served

ODD = "a\x1b[31m[b]\nc\u202ed"
SHOWN = "a\ufffd[31m[b]\ufffdc\ufffdd"


def test_the_purge_shows_a_jobs_name_harmlessly(settings: Settings) -> None:
    with served(settings, role=Role.ADMIN) as service:
        service.portal.new_job(ODD)
        said = service.run("purge", "--older-than", "0d")
    assert said.exit_code == 0, said.output
    assert SHOWN in said.stdout


def test_the_audit_shows_what_was_acted_on_harmlessly(settings: Settings) -> None:
    with served(settings) as service, service.portal.database.sessions.begin() as session:
        record(session, user_id=None, action="study.viewed", target=ODD)
    said = run("audit", OVERREAD_DATA=str(settings.data_dir))
    assert said.exit_code == 0, said.output
    assert SHOWN in said.stdout


def test_every_table_is_filled_in_the_same_way() -> None:
    files = Path(cli.__file__).parent.rglob("*.py")
    rows = [row for file in files for row in re.findall(r"add_row\(.{6}", file.read_text())]
    assert len(rows) >= 7
    assert set(rows) == {"add_row(*cells"}
