"""Clients of the portal for tests."""
