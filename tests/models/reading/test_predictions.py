"""The same bytes are predicted once per model version, whoever asks and how often."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sqlalchemy.orm import Session

from models.config.settings import Settings
from models.intake.claims import Claim, claim_images
from models.query import count_rows
from models.reading.predictions import (
    finish_known,
    get_prediction,
    read_heatmap,
    record_predictions,
)
from models.tables import intake as tables
from models.tables.intake import State
from tests.support.data.rows import (
    a_job,
    a_prediction,
    a_version,
    all_images,
    an_image,
    lapse_leases,
)
from tests.support.servers.databases import Database, both_databases

pytestmark = both_databases


def claim_all(session: Session) -> Claim:
    return claim_images(session, State.READY, Settings(chunk_size=100))


def record_all(session: Session, claim: Claim, *, version_id: int) -> int:
    predictions = {image.sha256: a_prediction() for image in claim.images}
    return record_predictions(
        session, claim, predictions, model_version_id=version_id, engine="a test"
    )


def test_equal_bytes_share_one_prediction(session: Session) -> None:
    version = a_version(session)
    an_image(session, a_job(session), content="same", state=State.READY)
    claim = claim_all(session)
    an_image(session, a_job(session), content="same", state=State.READY)
    an_image(session, a_job(session), content="same", state=State.CANCELLED)
    assert record_all(session, claim, version_id=version.id) == 0
    states = [image.state for image in all_images(session)]
    assert states == [State.PREDICTED, State.PREDICTED, State.CANCELLED]
    assert count_rows(session, tables.Prediction) == 1


def test_finish_known_skips_predicted_bytes(session: Session) -> None:
    version, other = a_version(session), a_version(session, name="v2", is_live=False)
    an_image(session, a_job(session), content="same", state=State.READY)
    record_all(session, claim_all(session), version_id=version.id)
    late = an_image(session, a_job(session), content="same", state=State.READY)
    known = partial(finish_known, session, [late.sha256])
    assert known(model_version_id=other.id, operating_point="balanced") == set()
    assert known(model_version_id=version.id, operating_point="sensitive") == set()
    assert [image.state for image in all_images(session)] == [State.PREDICTED, State.READY]
    assert known(model_version_id=version.id, operating_point="balanced") == {late.sha256}
    assert [image.state for image in all_images(session)] == [State.PREDICTED] * 2


def test_concurrent_workers_record_equal_bytes_once(database: Database) -> None:
    with database.sessions.begin() as session:
        version = a_version(session)
        claims = []
        for job in (a_job(session), a_job(session)):
            for number in range(20):
                an_image(session, job, content=str(number), state=State.READY)
            claims.append(claim_images(session, State.READY, Settings(chunk_size=20)))
    one, other = claims

    def finish(claim: Claim) -> None:
        with database.sessions.begin() as session:
            record_all(session, claim, version_id=version.id)

    assert {image.sha256 for image in one.images} == {image.sha256 for image in other.images}
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(finish, (one, other)))
    with database.sessions() as session:
        images = all_images(session)
        assert {(image.state, image.leased_by) for image in images} == {(State.PREDICTED, None)}
        assert all(image.finished_at for image in images)
        assert count_rows(session, tables.Prediction) == 20


def test_lost_claim_records_no_prediction(session: Session) -> None:
    version = a_version(session)
    an_image(session, a_job(session), state=State.READY)
    late = claim_all(session)
    lapse_leases(session)
    claim_all(session)
    assert record_all(session, late, version_id=version.id) == 1, "it came too late"
    assert [image.state for image in all_images(session)] == [State.READY]
    assert count_rows(session, tables.Prediction) == 0


@pytest.mark.parametrize("peak", [0.0, 3.0, 7.5])
def test_heatmap_survives_storage_for_any_peak(session: Session, peak: float) -> None:
    heatmap = np.linspace(peak / 2, peak, 49, dtype=np.float32).reshape(7, 7)
    answer = replace(a_prediction(), heatmap=heatmap, orientation=6)
    image = an_image(session, a_job(session), state=State.READY)
    claim, version = claim_all(session), a_version(session)
    record_predictions(
        session, claim, {image.sha256: answer}, model_version_id=version.id, engine="a test"
    )
    prediction = get_prediction(session, image, operating_point="balanced")
    assert prediction is not None
    assert (prediction.heatmap_peak, prediction.orientation) == (peak, 6)
    assert len(prediction.heatmap) == 98  # float16
    np.testing.assert_allclose(read_heatmap(prediction), heatmap, rtol=1e-3)
