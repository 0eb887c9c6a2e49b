"""Verify a folder of backups: every blob, and every backup's lists and tables."""

from collections.abc import Iterator
from pathlib import Path

from models.operations.backup_files import Report
from models.operations.backup_folder import BackupDamagedError, BackupRefusedError, Backups
from models.operations.integrity import SHARES, verify_blobs
from models.operations.verification import Tally


def verify_backups(root: Path, *, tally: Tally, report: Report) -> list[str]:
    """Returns a line for each backup that cannot be restored whole. Raises BackupRefusedError."""
    backups = Backups(root.absolute())
    names = backups.names()
    if not names:
        raise BackupRefusedError(f"{backups.folder}: no complete backup")
    for share in range(SHARES):
        report("Verifying files", share, SHARES)
        for one in verify_blobs(backups.root / "files" / f"{share:02x}", "backup"):
            tally.add(one)
    damaged = {one.name for one in tally.damaged}
    lines: list[str] = []
    for number, name in enumerate(names):
        report("Verifying backups", number, len(names))
        lines += _faults(backups, name, damaged)
    return lines


def _faults(backups: Backups, name: str, damaged: set[str]) -> Iterator[str]:
    try:
        manifest = backups.manifest(name)
        for path in backups.damaged_parts(name, manifest):
            yield f"{path}: missing or damaged; this backup cannot be restored"
        bad = sum(
            file.sha256 in damaged or not backups.blob(file.sha256).exists()
            for file in backups.files(name)
        )
    except (BackupDamagedError, BackupRefusedError) as error:
        yield f"{error}; this backup cannot be restored"
        return
    if bad:
        yield f"{name}: {bad:,} of {manifest.files:,} files are missing or damaged"
    if manifest.damaged:
        yield f"{name}: files that were damaged already when it was made: {manifest.damaged:,}"
