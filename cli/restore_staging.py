"""What a restore has put ready within the data folder, and when it counts.

put everything ready -> note which row of the audit makes it count -> commit that row, with all
others -> move into place -> discard what is left here, the note last

Who is killed before the commit has restored nothing, and the next restore begins anew. Killed after
it, the next one finds that row and moves what is still here. A database elsewhere and the files
here so count together; `models.operations.upgrade` starts no service in between.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from models.config.secrets import write_private
from models.files.store import sync_folder
from models.operations.upgrade import RESTORING

_NOTE = "note.json"
_READY = "ready"


@dataclass(frozen=True)
class Note:
    """backup: its name. digest: of the audit's last row, should the commit have gone through."""

    backup: str
    digest: str


class Staging:
    def __init__(self, data_dir: Path) -> None:
        self._data_dir, self._folder = data_dir, data_dir / RESTORING

    @property
    def ready(self) -> Path:
        """What lies here comes to lie in the data folder."""
        return self._folder / _READY

    def begin(self) -> None:
        self.discard()
        self.ready.mkdir(parents=True)

    def note(self) -> Note | None:
        try:
            return Note(**json.loads((self._folder / _NOTE).read_text(encoding="ascii")))
        except FileNotFoundError:
            return None

    def write_note(self, note: Note) -> None:
        """What is ready is on disk before it, and it before whatever the caller does next."""
        os.sync()
        write_private(self._folder / _NOTE, json.dumps(asdict(note)))
        sync_folder(self._folder)

    def put_in_place(self) -> None:
        """Again and again, should it be cut off."""
        for one in sorted(self.ready.glob("*")):
            one.rename(self._data_dir / one.name)
        sync_folder(self._data_dir)
        self.discard()

    def discard(self) -> None:
        if self._folder.exists():
            shutil.rmtree(self.ready, ignore_errors=True)
            shutil.rmtree(self._folder)
