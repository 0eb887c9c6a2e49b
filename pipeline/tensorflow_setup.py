"""TensorFlow's and Keras's switches, which they read once, when they are first imported."""

import os
from typing import Any

from pipeline.import_folder import import_folder


def import_tensorflow(*, threads: int | None = None) -> Any:
    """Quiet, and with oneDNN: on processors without AVX-512 it is off by default, and twice
    as slow. No settings are read from the home folder, and none written.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Keras imports Matplotlib where it is installed.
    with import_folder("KERAS_HOME"), import_folder("MPLCONFIGDIR"):
        import keras  # noqa: F401
        import tensorflow

    if threads is not None:
        try:
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        except RuntimeError as error:
            # Another part of this process has computed already.
            raise RuntimeError("threads must be set before TensorFlow computes") from error
    return tensorflow
