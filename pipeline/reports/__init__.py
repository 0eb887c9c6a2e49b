"""Evaluation report, model card and the card of a version."""
