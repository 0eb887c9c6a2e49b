"""`overread doctor`

What `overread doctor` looks at.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
import numpy as np

from cli.lockfile import is_held, running_service
from cli.service.doctor_database import check_database, check_orphans, is_half_restored, under_way
from cli.service.findings import Finding, checked
from cli.settings import CommandSettings, masked
from models.audit.verify import newest_check
from models.files.store import FileStore
from models.learning.versions import production_version, version_path
from models.session import open_database
from pipeline.errors import NetworkFolderError
from pipeline.inference.engine import tensorflow_is_installed
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import BASELINE
from worker.embedded_broker import is_answering


@click.command()
def doctor() -> None:
    """Say what is set, what is reachable, and what is wrong. Exit code 1: something is."""
    from cli.settings import read_settings, shown_settings

    settings = read_settings()
    click.echo("Settings (OVERREAD_...)")
    for name, value, is_set in shown_settings(settings):
        click.echo(f"  {'*' if is_set else ' '} {name:<24} {value}")
    click.echo("  * set, others by default\n\nChecks")
    findings = []
    for finding in check_everything(settings):
        findings.append(finding)
        click.echo(f"  {finding.mark:<5} {finding.what:<10} {finding.says}")
    sys.exit(1 if any(finding.is_wrong for finding in findings) else 0)


def check_everything(settings: CommandSettings) -> Iterator[Finding]:
    yield _check_data(settings)
    database = check_database(settings)
    yield database
    yield _check_broker(settings)
    yield _check_files(settings)
    yield check_orphans(settings, database)
    yield _check_network(settings, database)
    yield _check_portal(settings)
    yield _check_audit(settings)
    yield _check_training()


def _check_data(settings: CommandSettings) -> Finding:
    folder = settings.data_dir
    if not folder.exists():
        return Finding("-", "data", f"{folder} does not exist yet: overread up")
    if not folder.is_dir():
        return Finding("WRONG", "data", f"{folder} is not a folder")
    if is_half_restored(folder) and not is_held(folder):
        says = f"a restore into {folder} has not ended: the same overread restore once more"
        return Finding("WRONG", "data", says)
    free = shutil.disk_usage(folder).free
    says = f"{folder}, {free / 2**30:.1f} GiB free"
    if folder.stat().st_mode & 0o077:
        return Finding("WRONG", "data", f"{folder} is open to others: chmod 700 it")
    if free < settings.disk_reserve_bytes:
        says += ", less than OVERREAD_DISK_RESERVE_BYTES: uploads are refused"
        return Finding("WRONG", "data", says)
    return Finding("ok", "data", says)


def _check_broker(settings: CommandSettings) -> Finding:
    service = running_service(settings.data_dir)
    url = settings.broker_url or (service.broker_url if service else "")
    if not url:
        says = under_way(settings.data_dir) or "starts with the service: overread up"
        return Finding("-", "broker", says)
    says = "answers" if is_answering(url) else "does not answer"
    return Finding("ok" if says == "answers" else "WRONG", "broker", f"{masked(url)} {says}")


def _check_files(settings: CommandSettings) -> Finding:
    if not settings.data_dir.exists():
        return Finding("-", "files", "not there yet: overread up")
    return checked("files", lambda: _files(settings))


def _files(settings: CommandSettings) -> str:
    """Write, read and delete, as a worker would."""
    store = FileStore(settings.files_dir)
    stored = store.put_bytes(b"overread doctor")
    read = store.path(stored.sha256).read_bytes()
    store.delete(stored.sha256, area="stored")
    if read != b"overread doctor":
        raise OSError("what was read is not what was written")
    return f"{settings.files_dir} can be written and read"


def _check_network(settings: CommandSettings, database: Finding) -> Finding:
    """Before there is a database, the one that ships."""
    if database.is_wrong:
        return Finding("-", "network", "not looked at: the database knows which is live")
    has_database = database.mark == "ok"
    return checked("network", lambda: _network(settings, has_database=has_database))


def _network(settings: CommandSettings, *, has_database: bool) -> str:
    """As a worker opens it: checksums first. Then one answer for an empty picture."""
    folder = _live_folder(settings) if has_database else BASELINE
    predictor = Predictor.open(folder, operating_point=settings.operating_point)
    answers = predictor.predict(np.zeros((1, 224, 224), np.uint8))
    if not 0.0 <= answers[0].probability <= 1.0:
        raise NetworkFolderError("the network's answer is not a probability")
    point = f"{predictor.operating_point}, threshold {predictor.threshold:g}"
    return f"{predictor.model_version} answers ({point}); {predictor.engine.name}"


def _live_folder(settings: CommandSettings) -> Path:
    with open_database(settings) as sessions, sessions() as session:
        version = production_version(session)
    return BASELINE if version is None else version_path(version, data_dir=settings.data_dir)


def _check_portal(settings: CommandSettings) -> Finding:
    service = running_service(settings.data_dir)
    url = settings.url or (service.url if service else "")
    if not url:
        says = under_way(settings.data_dir) or "is not running: overread up"
        return Finding("-", "portal", says)
    try:
        answer = httpx.get(f"{url}/readyz", timeout=10.0, trust_env=False)
        down = [what for what, word in answer.json().items() if word == "down"]
    except httpx.HTTPError as error:
        return Finding("WRONG", "portal", f"{url} does not answer: {error}")
    except (ValueError, AttributeError):
        return Finding("WRONG", "portal", f"{url} answers, but is no portal of this release")
    says = f"{url} is ready"
    if down:
        down = [what.replace("_", " ") for what in down if what != "status"]
        says = f"{url} answers; down: {', '.join(down)}"
    return Finding("WRONG" if down else "ok", "portal", says)


def _check_audit(settings: CommandSettings) -> Finding:
    """What the service's own check found; `overread audit --verify` makes one now."""
    check = newest_check(settings.data_dir)
    if check is None:
        return Finding("-", "audit", "not checked yet: overread audit --verify")
    when = f"checked {check.time:%Y-%m-%d %H:%M} UTC"
    if check.is_intact:
        return Finding("ok", "audit", f"{check.rows} rows are as written; {when}")
    return Finding("WRONG", "audit", f"broken at row {check.broken}: {check.why}; {when}")


def _check_training() -> Finding:
    if tensorflow_is_installed():
        return Finding("ok", "training", "TensorFlow is installed")
    return Finding("-", "training", "TensorFlow is not installed: make setup-train")
