"""Builders of small networks, data sets and version folders."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.inference.gradcam import HEAD, feature_maps, statistics
from pipeline.phantom.drawing import draw_phantom
from pipeline.training.config import TrainingConfig
from pipeline.types import Finding, Inference

TOY = TrainingConfig(
    model_version="toy-1",
    start_weights="random",
    size=64,
    alpha=0.35,
    epochs=1,
    head_epochs=2,
    batch_size=4,
    validation_share=0.4,
    frozen_share=0.85,
)


def write_dataset(folder: Path, *, patients: int = 8) -> Path:
    """The public layout with phantoms: every patient has two images of the same finding."""
    findings: list[Finding] = ["normal", "pneumonia"]
    for finding in findings:
        kind = folder / "train" / finding.upper()
        kind.mkdir(parents=True)
        for patient in range(patients):
            for image in range(2):
                number = patient + (1000 if finding == "normal" else 0)
                pixels = draw_phantom(seed=10 * patient + image, finding=finding, size=(64, 64))
                Image.fromarray(pixels).save(kind / f"person{number}_virus_{image}.jpeg")
    return folder


def write_start_weights(path: Path) -> Path:
    """For TOY. Purely random weights would give the same output for every image."""
    from pipeline.training.framework import keras
    from pipeline.training.network import build_network

    keras.utils.set_random_seed(3)
    network = build_network(size=TOY.size, alpha=TOY.alpha)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(np.full(layer.gamma.shape, 3.5))
    network.save(path)
    return path


def make_random_network() -> Any:
    """Convolutions that let signals through, and batch statistics other than nought and one."""
    from pipeline.training.framework import keras
    from pipeline.training.network import build_network

    keras.utils.set_random_seed(0)
    network = build_network(size=96, alpha=0.35)
    random = np.random.default_rng(1)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            noise = random.uniform(0, 0.02, (4, len(gamma)))
            layer.set_weights(
                [gamma + noise[0], beta + noise[1], mean + noise[2], variance + noise[3]]
            )
        elif layer.weights:
            layer.set_weights([3 * value for value in layer.get_weights()])
    network.get_layer(HEAD).set_weights([random.normal(size=(1280, 1)), np.array([0.3])])
    return network


def phantom_inputs(*, count: int = 6) -> np.ndarray:
    """uint8 (count, 224, 224), half of them with pneumonia."""
    return np.stack([_phantom(n) for n in range(count)])


@cache
def _phantom(number: int) -> np.ndarray:
    """Cached: drawing one takes a tenth of a second."""
    finding: Finding = "pneumonia" if number % 2 else "normal"
    return draw_phantom(seed=number, finding=finding, size=(224, 224))


def to_peak(heatmaps: np.ndarray) -> np.ndarray:
    """Each heatmap scaled to its own peak."""
    return heatmaps / np.maximum(heatmaps.max(axis=(1, 2), keepdims=True), 1e-12)


def gradcam_by_tape(network: Any, network_inputs: np.ndarray) -> Inference:
    """Grad-CAM with a backward pass, as the reference for the closed form."""
    import keras
    import tensorflow as tf

    maps = feature_maps(network).outputs
    everything = keras.Model(network.input, [*maps, network.output])
    with tf.GradientTape() as tape:
        middle, feature_map, logits = everything(network_inputs, training=False)
        total = tf.reduce_sum(logits)  # images are independent, so each keeps its gradient
    gradient = tape.gradient(total, feature_map)  # (n, h, w, channels)
    weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    heatmaps = tf.nn.relu(tf.reduce_sum(weights * feature_map, axis=-1))
    return Inference(logits.numpy()[:, 0], heatmaps.numpy(), statistics(middle).numpy())
