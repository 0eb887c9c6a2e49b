"""Training and export of a network with TensorFlow."""
