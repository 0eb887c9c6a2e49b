"""The recipe of the shipped network, and benchmarks of its answers and heatmaps."""
