"""What the images' answers must be: those of the same bytes without a service."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from models.tables.intake import Prediction
from pipeline.inference.predictor import Predictor
from pipeline.prepare.prepare import prepare
from tests.chaos.files import Sent

TOLERANCE = 1e-3  # of logits: engines sum in another order in larger batches


def wrong_answers(session: Session, sent: Iterable[Sent], predicted: set[str]) -> Iterator[str]:
    """A line for each content whose answer is not that of `overread predict`."""
    columns = (Prediction.sha256, Prediction.logit, Prediction.probability, Prediction.finding)
    rows = {row.sha256: row for row in session.execute(select(*columns))}
    contents = {one.sha256: one.content for one in sent if one.sha256 in predicted & rows.keys()}
    predictor = Predictor.open()
    with tempfile.TemporaryDirectory() as folder:
        for sha256, content in contents.items():
            path = Path(folder) / sha256
            path.write_bytes(content)
            (expected,) = predictor.predict(prepare(path).network_input[None])
            row = rows[sha256]
            found = row.logit, row.probability
            right = expected.logit, expected.probability
            if found != pytest.approx(right, abs=TOLERANCE) or row.finding != expected.finding:
                yield f"{sha256[:8]}: logit {row.logit:.3f} instead of {expected.logit:.3f}"
