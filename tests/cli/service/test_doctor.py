"""`overread doctor` finds what hangs loose in the database and the file store."""

from pathlib import Path

from cli.service.doctor import check_everything
from cli.service.findings import Finding
from cli.settings import CommandSettings
from models.files.store import FileStore
from models.operations.upgrade import upgrade
from models.tables.intake import State
from tests.support.data.rows import a_job, an_image
from tests.support.servers.databases import open_database


def orphans(settings: CommandSettings) -> Finding:
    (found,) = [one for one in check_everything(settings) if one.what == "orphans"]
    return found


def test_the_doctor_counts_orphans_and_names_the_first(tmp_path: Path) -> None:
    settings = CommandSettings(data=tmp_path / "data")
    assert orphans(settings).mark == "-", "there is no service yet"
    upgrade(settings)
    FileStore(settings.files_dir).put_bytes(b"a worker's, whose row is not yet written")
    assert orphans(settings) == Finding(
        "ok", "orphans", "no row without its files, no file without its row"
    )
    with (
        open_database(settings, make_tables=False) as database,
        database.sessions.begin() as session,
    ):
        job = a_job(session)
        for file in ("1.png", "2.png"):
            an_image(session, job, file=file, content=file, state=State.RECEIVED)
    wrong = orphans(settings)
    assert (wrong.mark, wrong.what) == ("WRONG", "orphans")
    assert wrong.says == "2, among them image 1 (received): its upload is gone"
