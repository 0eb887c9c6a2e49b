"""Servers, processes, databases and browsers for tests."""
