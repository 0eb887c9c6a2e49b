"""Prediction with a model version: engines, probabilities, heatmaps, overlays."""
