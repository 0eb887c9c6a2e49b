"""Queries on studies, predictions, results and re-readings."""
