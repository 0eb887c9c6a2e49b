"""Builders, fixtures and servers shared by the tests."""
