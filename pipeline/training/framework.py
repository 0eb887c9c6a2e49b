"""TensorFlow and Keras; importing them takes seconds."""

from pipeline.inference.tensorflow_engine import import_tensorflow

tf = import_tensorflow()  # first, since it sets what both read when they are imported

import keras  # noqa: E402

__all__ = ["keras", "tf"]
