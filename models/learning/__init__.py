"""Queries on labels, datasets, snapshots, nights, model versions and promotion."""
