"""Benchmarks of time and memory; each is run from the repository's root, and says how."""
