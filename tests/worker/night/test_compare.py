"""A candidate is compared with production on a snapshot's test images, by real networks."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from models.context import AppContext
from models.learning.versions import register_version
from models.tables.intake import ModelVersion
from models.tables.learning import Evaluation
from pipeline.evaluation.versions.compare import Comparison
from pipeline.evaluation.versions.promotion_gate import Gate, decide_promotion
from pipeline.training.job import Progress, TrainingProgress
from pipeline.types import Split
from tests.support.data.snapshots import FINDINGS, Phantom, freeze_phantoms
from tests.support.data.versions import make_first_format, make_version
from worker.night.compare import compare_versions

SITE, PUBLIC = "site", "public"


@pytest.fixture
def candidate(context: AppContext) -> ModelVersion:
    """The same network under another name, with other thresholds."""
    folder = context.settings.data_dir / "networks" / "night-1"
    with context.sessions.begin() as session:
        return register_version(
            session, folder=make_version(folder), data_dir=context.settings.data_dir
        )


def freeze_test_images(context: AppContext, *, of_each: int = 3) -> int:
    """A snapshot: of both origins `of_each` test images per finding, and one training image."""
    phantoms = [
        Phantom(finding, seed, origin=origin, patient=f"{finding} {seed // 2}")
        for origin in (PUBLIC, SITE)
        for seed in range(of_each)
        for finding in FINDINGS
    ]
    return freeze_phantoms(context, [*phantoms, Phantom("normal", 99, Split.TRAIN)]).id


def compare(
    context: AppContext,
    candidate: ModelVersion,
    production: ModelVersion,
    snapshot_id: int,
    *,
    progress: Progress = lambda step: None,
) -> list[Comparison]:
    return compare_versions(
        context,
        snapshot_id=snapshot_id,
        candidate=candidate,
        production=production,
        progress=progress,
    )


def evaluations(context: AppContext) -> list[Evaluation]:
    with context.sessions() as session:
        return list(session.scalars(select(Evaluation).order_by(Evaluation.id)))


def test_compare_versions_of_the_same_network(
    context: AppContext, candidate: ModelVersion, production: ModelVersion
) -> None:
    steps: list[TrainingProgress] = []
    snapshot_id = freeze_test_images(context)
    site, public = compare(context, candidate, production, snapshot_id, progress=steps.append)
    assert (site.name, public.name) == (SITE, PUBLIC)
    assert (site.images, site.patients, site.pneumonia_patients) == (6, 4, 2)
    difference = site.auroc.difference
    assert (difference.value, difference.low, difference.high) == (0, 0, 0)
    assert (site.candidate["threshold"], site.candidate["model_version"]) == (0.5, "night-1")
    assert site.level == pytest.approx(0.975)
    decision = decide_promotion([site, public], gate=Gate(min_patients=2))
    assert not decision.is_yes
    assert (steps[0].total, steps[-1].done) == (24, 24)
    rows = {(row.model_version_id, row.origin): row.figures for row in evaluations(context)}
    assert len(rows) == 4
    figures = rows[candidate.id, SITE]
    assert figures["auroc"]["value"] == site.auroc.candidate.value
    assert figures["roc"][0] == [0, 0]
    assert figures["roc"][-1] == [1, 1]
    assert sum(part["images"] for part in figures["calibration"]) == figures["n"] == 6


def test_repeated_comparison_keeps_stored_evaluations(
    context: AppContext, candidate: ModelVersion, production: ModelVersion
) -> None:
    snapshot_id = freeze_test_images(context, of_each=1)

    class KilledError(Exception):
        pass

    def interrupt(step: TrainingProgress) -> None:
        if evaluations(context):
            raise KilledError

    with pytest.raises(KilledError):
        compare(context, candidate, production, snapshot_id, progress=interrupt)
    first = evaluations(context)
    assert len(first) == 1
    assert len(compare(context, candidate, production, snapshot_id)) == 2
    rows = evaluations(context)
    assert len(rows) == 4
    assert (rows[0].id, rows[0].created_at) == (first[0].id, first[0].created_at)


def test_versions_without_the_operating_point_are_compared_at_balanced(
    context: AppContext, candidate: ModelVersion, caplog: pytest.LogCaptureFixture
) -> None:
    settings = context.settings.model_copy(update={"operating_point": "sensitive"})
    context = replace(context, settings=settings)
    folder = make_first_format(context.settings.data_dir / "networks" / "old")
    with context.sessions.begin() as session:
        old = register_version(session, folder=folder, data_dir=context.settings.data_dir)
    snapshot_id = freeze_test_images(context, of_each=1)
    site, _ = compare(context, candidate, old, snapshot_id)
    used = site.candidate["operating_point"], site.production["operating_point"]
    assert used == ("balanced", "balanced")
    assert (site.candidate["threshold"], site.production["threshold"]) == (0.5, 0.41)
    assert "old has no operating point sensitive: both versions are compared" in caplog.text
