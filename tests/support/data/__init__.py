"""Rows, files and folders for tests."""
