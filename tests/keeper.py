"""Backs up the service of a test, and restores it elsewhere."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from models.orphans import find_orphans
from models.settings import Settings
from worker.doors import Doors, open_doors


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> Result:
    monkeypatch.setenv("OVERREAD_DATA", str(settings.data))
    monkeypatch.setenv("OVERREAD_DATABASE_URL", settings.database_url)
    return CliRunner().invoke(main, list(map(str, arguments)))


class Keeper:
    """Backs up the service of `doors` to a folder, and restores it elsewhere."""

    def __init__(self, doors: Doors, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.doors, self.folder, self.monkeypatch = doors, folder, monkeypatch

    def backup(self, *options: str, fine: bool = True) -> Result:
        done = run(self.doors.settings, self.monkeypatch, "backup", self.folder, *options)
        assert (done.exit_code == 0) == fine, done.output
        return done

    def restore(self, settings: Settings, *options: str, fine: bool = True) -> Result:
        done = run(settings, self.monkeypatch, "restore", self.folder, *options)
        assert (done.exit_code == 0) == fine, done.output
        return done

    def newest(self) -> Path:
        return max((self.folder / "backups").iterdir())

    def contents(self) -> list[Path]:
        return sorted((self.folder / "files").glob("??/*"))


def files_of(data_dir: Path) -> dict[str, bytes]:
    folders = [data_dir / "files" / area for area in ("incoming", "stored", "inputs")]
    paths = [path for one in (*folders, data_dir / "networks") for path in one.rglob("*")]
    return {str(p.relative_to(data_dir)): p.read_bytes() for p in paths if p.is_file()}


def loose_ends(settings: Settings) -> list[str]:
    opened = open_doors(settings)
    try:
        return find_orphans(opened.sessions, opened.store)
    finally:
        opened.close()
