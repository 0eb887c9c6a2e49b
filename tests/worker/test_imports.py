"""What each process loads: TensorFlow costs seconds and a gigabyte, so only training may."""

import subprocess
import sys

import pytest

from tests.support.servers.processes import ROOT

TENSORFLOW = ("tensorflow", "keras")
DECODERS = ("pydicom", "PIL", "gdcm", "openjpeg")
NOT_HERE = ("alembic", "psycopg")  # with SQLite and the newest tables
PREDICTING = "import worker.tasks, worker.predict; worker.predict.LivePredictor().open"
PREDICTED = """
import numpy as np, worker.tasks
from pipeline.inference.predictor import Predictor
Predictor.open().predict(np.zeros((1, 224, 224), np.uint8))
"""
SUBMITTING = "import cli.submit.submit, cli.settings"
READING_FILES = "import cli.predict.predict, cli.predict.reader, cli.settings, worker.decoders"


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nfor name in sys.modules: sys.stdout.write(name + '\\n')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import web.app", (*TENSORFLOW, *DECODERS, *NOT_HERE, "openvino", "worker.tasks")),
        ("import worker.app, worker.tasks", (*TENSORFLOW, *NOT_HERE, "numpy")),
        ("import worker.beat", ("sqlalchemy", "numpy", "worker.tasks")),
        ("import worker.enqueue", (*TENSORFLOW, *DECODERS, "openvino", "pipeline")),
        (PREDICTING, (*TENSORFLOW, *DECODERS)),
        (PREDICTED, (*TENSORFLOW, *DECODERS, "openvino_telemetry.main")),
        ("import worker.tasks, worker.ingest.chunk", (*TENSORFLOW, "openvino")),
        ("import cli.learn.evaluate", TENSORFLOW),
        (SUBMITTING, ("numpy", "sqlalchemy", "httpx", "rich")),
        (READING_FILES, (*TENSORFLOW, *DECODERS, "openvino", "sqlalchemy", "celery", "httpx")),
        ("import models.operations.upgrade", NOT_HERE),
        ("import cli.service.start", ("sqlalchemy", "alembic", "celery", "numpy", "httpx")),
    ],
)
def test_process_imports_only_what_it_needs(statement: str, absent: tuple[str, ...]) -> None:
    assert loaded_by(statement) & set(absent) == set()


def test_import_check_sees_forbidden_modules() -> None:
    assert "PIL" in loaded_by("import pipeline.prepare.network_input")
