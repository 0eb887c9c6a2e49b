"""Heatmaps against boxes that readers drew; used by `overread evaluate` and the benchmarks."""
