"""Nights with real processes, a moved clock, and a training process killed during an epoch.

A site on whose images the shipped network is poor (AUROC about 0.6) labels them. With a third of
the labels wrong the candidate is refused; with correct ones it is promoted, predicts without a
restart, and is rolled back by one command.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture
from sqlalchemy import select

from cli.api.client import Client
from models.base import now
from models.config.secrets import new_secrets, write_secrets
from models.tables.intake import Image, ModelAlias, ModelVersion, Prediction
from models.tables.learning import Evaluation, Label, Night, Outcome
from pipeline.phantom.drawing import draw_phantom
from pipeline.types import Finding
from tests.end_to_end.conftest import rows_of
from tests.support.servers.service import Service, wait_until

pytestmark = pytest.mark.processes

NIGHT_WITHIN_S = 900.0  # on the slowest machine
SETTINGS = {
    "night_at": f"{now() + timedelta(hours=12):%H:%M}",  # none starts by itself during the test
    "time_zone": "UTC",
    "night_policy": "automatic",
    "night_min_labels": "20",
    "train_head_only_below": "50",  # night 1 trains only the head
    "train_cores": "2",  # whichever other tests leave idle
    "gate_min_patients": "5",
    # Margins that fifteen patients with pneumonia can meet.
    "gate_auroc_margin": "0.05",
    "gate_sensitivity_margin": "0.3",
}
SIDE = 224
PERIODS = 28  # of the fine pattern, across the image
STRENGTH = 0.1  # of white


@dataclass(frozen=True)
class SiteImage:
    """file: path within the upload. patient: named only in the table of labels."""

    file: str
    patient: str
    finding: Finding


def write_images(folder: Path, numbers: range) -> list[SiteImage]:
    """One of each patient; every other one shows the pattern that this hospital calls pneumonia."""
    images = []
    for number in numbers:
        finding: Finding = "pneumonia" if number % 2 else "normal"
        image = SiteImage(f"{folder.name}/image-{number}.png", f"site-{number}", finding)
        folder.mkdir(parents=True, exist_ok=True)
        Picture.fromarray(draw(number, finding)).save(folder.parent / image.file)
        images.append(image)
    return images


def write_table(path: Path, images: Sequence[SiteImage], *, flip_every: int = 0) -> Path:
    """A CSV for `overread label`; every `flip_every`th label (0: none) is the other one."""
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("file", "label", "patient"))
        for place, image in enumerate(images):
            is_flipped = flip_every and place % flip_every == 0
            other = "normal" if image.finding == "pneumonia" else "pneumonia"
            table.writerow((image.file, other if is_flipped else image.finding, image.patient))
    return path


def write_public_set(folder: Path, *, train: int, val: int, test: int) -> Path:
    """Phantoms in the public layout; the numbers are those of each finding."""
    seed = 50_000
    findings: tuple[Finding, ...] = ("normal", "pneumonia")
    for split, count in {"train": train, "val": val, "test": test}.items():
        for finding in findings:
            kind = folder / split / finding.upper()
            kind.mkdir(parents=True)
            for _ in range(count):
                seed += 1
                pixels = draw_phantom(seed=seed, finding=finding, size=(SIDE, SIDE))
                Picture.fromarray(pixels).save(kind / f"person{seed}_virus_1.jpeg", quality=95)
    return folder


def draw(number: int, finding: Finding) -> NDArray[np.uint8]:
    """A normal phantom; for pneumonia a fine pattern lies over both lungs."""
    pixels = draw_phantom(seed=number, finding="normal", size=(SIDE, SIDE)).astype(np.float64)
    if finding == "pneumonia":
        rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
        waves = np.sin(2 * np.pi * PERIODS * rows) * np.sin(2 * np.pi * PERIODS * columns)
        lungs = np.exp(-((abs(columns - 0.5) - 0.2) ** 2 + (rows - 0.5) ** 2) / (2 * 0.15**2))
        pixels += STRENGTH * 255 * waves * lungs
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("night")
    running = Service(folder, SETTINGS)
    fix_splits(running.data_dir)
    public = write_public_set(folder / "public", train=30, val=15, test=20)
    imported = running.run("import-dataset", public)
    assert imported.returncode == 0, imported.stderr
    running.start()
    yield running
    running.end()


def fix_splits(data_dir: Path) -> None:
    """The installation's key decides the splits: fix it."""
    data_dir.mkdir()
    write_secrets(data_dir, replace(new_secrets(), identity_key_hex="01" * 32))


def move_clock(service: Service, *, days: int = 2) -> None:
    """Move what decides when a night is due into the past."""
    with rows_of(service) as session:
        for alias in session.scalars(select(ModelAlias)):
            alias.created_at -= timedelta(days=days)
        for night in session.scalars(select(Night).where(Night.due_at.is_not(None))):
            assert night.due_at is not None
            night.due_at -= timedelta(days=days)


def send(service: Service, folder: Path, numbers: range) -> list[SiteImage]:
    images = write_images(folder, numbers)
    sent = service.run("submit", folder, "--wait", "--json")
    assert sent.returncode == 0, sent.stderr
    return images


def label(service: Service, table: Path) -> None:
    done = service.run("label", table)
    assert done.returncode == 0, done.stdout + done.stderr


def the_night(service: Service, number: int) -> dict[str, Any]:
    """The columns of the night with this number; empty before it exists."""
    with rows_of(service) as session:
        night = session.get(Night, number)
        if night is None:
            return {}
        names = {"live": night.production, "candidate": night.candidate}
        return {
            **{column: getattr(night, column) for column in Night.__table__.columns.keys()},  # noqa: SIM118
            **{name: version.name if version else None for name, version in names.items()},
        }


def wait_for_end(service: Service, number: int) -> dict[str, Any]:
    wait_until(
        lambda: the_night(service, number).get("outcome"),
        within_s=NIGHT_WITHIN_S,
        what=f"the end of night {number}",
    )
    return the_night(service, number)


def versions_by_file(service: Service, images: list[SiteImage]) -> dict[str, set[str]]:
    """File -> names of the versions that predicted it."""
    with rows_of(service) as session:
        read = session.execute(
            select(Image.file, ModelVersion.name)
            .join(Prediction, Prediction.sha256 == Image.sha256)
            .join(ModelVersion, ModelVersion.id == Prediction.model_version_id)
        ).all()
    wanted = {image.file for image in images}
    by_file: dict[str, set[str]] = {file: set() for file in wanted}
    for file, version in read:
        if file in wanted:
            by_file[file].add(version)
    return by_file


def live(service: Service) -> str:
    with rows_of(service) as session:
        newest = session.scalars(select(ModelAlias).order_by(ModelAlias.id.desc())).first()
        assert newest is not None
        return newest.model_version.name


@pytest.fixture(scope="module")
def shipped(service: Service) -> str:
    return live(service)


@pytest.fixture(scope="module")
def first_images(service: Service) -> list[SiteImage]:
    return send(service, service.folder / "first", range(60))


def test_night_with_wrong_labels_is_refused(
    service: Service, shipped: str, first_images: list[SiteImage]
) -> None:
    label(service, write_table(service.folder / "wrong.csv", first_images, flip_every=3))
    move_clock(service)
    night = wait_for_end(service, 1)
    assert night["due_at"] is not None, "scheduled by beat"
    assert (night["outcome"], night["new_labels"]) == (Outcome.REFUSED, 60)
    assert night["live"] == shipped
    assert night["candidate"] == "night-1"
    origins = {compared["name"] for compared in night["decision"]["comparisons"]}
    assert origins == {"site", "public"}
    assert live(service) == shipped


def wait_for_mid_epoch(service: Service, number: int, *, after: str | None = None) -> str:
    """Return the lease holder; with `after`, wait for another holder than that."""

    def is_learning() -> bool:
        night = the_night(service, number)
        return night.get("leased_by") != after and "fine-tuning, step" in night["progress"]

    wait_until(is_learning, within_s=NIGHT_WITHIN_S, what="a step of fine-tuning")
    return str(the_night(service, number)["leased_by"])


def kill_training(service: Service) -> None:
    """SIGKILL to the training process; its worker starts another."""
    children = [child for worker in service.find_all("train@%h") for child in worker.children()]
    max(children, key=lambda child: child.memory_info().rss).kill()


def test_night_with_correct_labels_is_promoted_despite_kill_and_restart(
    service: Service, shipped: str, first_images: list[SiteImage]
) -> None:
    more = send(service, service.folder / "second", range(60, 120))
    label(service, write_table(service.folder / "right.csv", [*first_images, *more]))
    with Client(service.url, service.token) as client:
        asked = [client.post("nights")["id"] for _ in range(2)]
    assert asked == [2, 2], "a second request returns the same night"
    killed = wait_for_mid_epoch(service, 2)
    kill_training(service)
    wait_for_mid_epoch(service, 2, after=killed)
    assert service.interrupt() == 0
    stopped = the_night(service, 2)
    assert (stopped["leased_by"], stopped["attempts"]) == (None, 1), "only the kill counts"
    service.start()
    label(service, write_table(service.folder / "late.csv", more[:1], flip_every=1))
    night = wait_for_end(service, 2)
    assert night["outcome"] is Outcome.PROMOTED, night["reason"]
    assert night["new_labels"] == 80, "60 new ones, and 20 corrections"
    assert (night["live"], night["candidate"]) == (shipped, "night-2")
    assert live(service) == "night-2"
    with rows_of(service) as session:
        assert session.scalars(select(ModelVersion.name)).all() == [shipped, "night-1", "night-2"]
        assert len(session.scalars(select(Evaluation)).all()) == 8
        assert len(session.scalars(select(Label)).all()) == 130 + 60 + 80 + 1
    kept = sorted(path.name for path in (service.data_dir / "networks").iterdir())
    assert kept == ["night-1", "night-2"], "no unfinished folders"


def test_promoted_version_predicts_without_restart(
    service: Service, shipped: str, first_images: list[SiteImage]
) -> None:
    images = send(service, service.folder / "third", range(120, 126))
    assert set().union(*versions_by_file(service, images).values()) == {"night-2"}
    assert set().union(*versions_by_file(service, first_images).values()) == {shipped}


def test_reread_adds_predictions_to_earlier_studies(
    service: Service, shipped: str, first_images: list[SiteImage]
) -> None:
    assert service.run("reread").returncode == 0
    wait_until(
        lambda: all(len(names) == 2 for names in versions_by_file(service, first_images).values()),
        within_s=NIGHT_WITHIN_S,
        what="re-reading of the first images",
    )


def test_roll_back_restores_previous_version(service: Service, shipped: str) -> None:
    assert service.run("roll-back", "--reason", "for a test").returncode == 0
    assert live(service) == shipped
    images = send(service, service.folder / "fourth", range(126, 130))
    assert set().union(*versions_by_file(service, images).values()) == {shipped}


def test_night_without_new_labels_trains_nothing(service: Service) -> None:
    done = service.run("night", "--now")
    assert done.returncode == 0, done.stderr
    assert "1 new label since the last training, 20 are needed" in done.stdout
    night = wait_for_end(service, 3)
    assert night["outcome"] is Outcome.NOTHING
    assert psutil.pid_exists(service.processes()[0].pid)
