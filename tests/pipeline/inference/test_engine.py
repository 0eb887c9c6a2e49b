import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import NetworkFolderError
from pipeline.inference.engine import Engine, load_engine
from pipeline.inference.predictor import probability_of
from pipeline.inference.version_folder import BASELINE, load_card
from pipeline.types import Inference
from tests.support.imaging.networks import phantom_inputs, to_peak


@pytest.fixture(scope="module")
def compiled() -> Engine:
    return load_engine(BASELINE)


def assert_same(one: Inference, other: Inference) -> None:
    temperature = load_card(BASELINE).temperature
    ours, theirs = (probability_of(i.logits, temperature=temperature) for i in (one, other))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    np.testing.assert_allclose(to_peak(one.heatmaps), to_peak(other.heatmaps), atol=1e-2)
    np.testing.assert_allclose(one.features, other.features, atol=1e-2)


@pytest.mark.tensorflow
def test_compiled_equals_reference_equals_tape(compiled: Engine) -> None:
    import keras

    from tests.support.imaging.networks import gradcam_by_tape

    inputs = phantom_inputs()
    found = compiled.infer(inputs)
    assert found.heatmaps.max() > 0
    assert_same(found, load_engine(BASELINE, kind="tensorflow").infer(inputs))
    network = keras.models.load_model(BASELINE / "network.keras", compile=False)
    assert_same(found, gradcam_by_tape(network, inputs))


def test_results_do_not_depend_on_the_batch(compiled: Engine) -> None:
    inputs = phantom_inputs(count=19)
    together = compiled.infer(inputs)
    alone = [compiled.infer(inputs[n : n + 1]) for n in range(19)]
    np.testing.assert_array_equal(together.logits, [a.logits[0] for a in alone])


def test_inference_has_the_stated_shapes_and_engine_its_name(compiled: Engine) -> None:
    found = compiled.infer(phantom_inputs(count=3))
    assert (found.logits.shape, found.heatmaps.shape) == ((3,), (3, 7, 7))
    assert found.features.shape == (3, 128)
    assert found.logits.dtype == found.heatmaps.dtype == found.features.dtype == np.float32
    assert found.heatmaps.min() >= 0
    assert compiled.infer(np.empty((0, 224, 224), np.uint8)).logits.shape == (0,)
    assert compiled.name.startswith("openvino 20")
    assert compiled.name.endswith("float32")


def test_missing_network_is_reported(tmp_path: Path) -> None:
    with pytest.raises(NetworkFolderError, match=r"network\.xml is missing"):
        load_engine(tmp_path)


REPLACED = """
import os, signal
from pipeline.inference.engine import load_engine
from pipeline.inference.version_folder import BASELINE
older = load_engine(BASELINE)
newer = load_engine(BASELINE)
del older
del newer
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_process_that_has_replaced_its_engine_handles_signals() -> None:
    """On processors with AMX, OpenVINO gives its threads a stack for signals."""
    done = subprocess.run([sys.executable, "-c", REPLACED], timeout=120, check=False)
    assert done.returncode == 7
