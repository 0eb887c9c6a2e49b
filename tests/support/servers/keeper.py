"""Backs up the service of a test, and restores it elsewhere."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from click.testing import Result

from models.config.settings import Settings
from models.context import AppContext, open_context
from models.files.orphans import find_orphans
from models.operations.backup_folder import MANIFEST, Manifest, write_manifest
from tests.support.servers.command import run_on


class Keeper:
    """Backs up the service of `context` to a folder, and restores it elsewhere."""

    def __init__(self, context: AppContext, folder: Path) -> None:
        self.context, self.folder = context, folder

    def backup(self, *options: str, fine: bool = True) -> Result:
        done = run_on(self.context.settings, "backup", self.folder, *options)
        assert (done.exit_code == 0) == fine, done.output
        return done

    def restore(self, settings: Settings, *options: str, fine: bool = True) -> Result:
        done = run_on(settings, "restore", self.folder, *options)
        assert (done.exit_code == 0) == fine, done.output
        return done

    def newest(self) -> Path:
        return max((self.folder / "backups").iterdir())

    def contents(self) -> list[Path]:
        return sorted((self.folder / "files").glob("??/*"))

    def manifest(self) -> Manifest:
        """Of the newest backup."""
        return Manifest(**json.loads((self.newest() / MANIFEST).read_text()))

    def rewrite_manifest(self, **changes: Any) -> None:
        """Change the newest backup, with a valid seal."""
        write_manifest(self.newest() / MANIFEST, replace(self.manifest(), **changes))


def files_of(data_dir: Path) -> dict[str, bytes]:
    folders = [data_dir / "files" / area for area in ("incoming", "stored", "inputs")]
    paths = [path for one in (*folders, data_dir / "networks") for path in one.rglob("*")]
    return {str(p.relative_to(data_dir)): p.read_bytes() for p in paths if p.is_file()}


def loose_ends(settings: Settings) -> list[str]:
    opened = open_context(settings)
    try:
        return find_orphans(opened.sessions, opened.store)
    finally:
        opened.close()
