"""Fault injection into a whole service: `python -m tests.chaos`, or `make chaos`."""
