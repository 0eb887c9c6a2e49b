"""Metrics, confidence intervals, comparison of versions, promotion gate, drift."""
