"""Nights, snapshots, model versions and promotions."""
