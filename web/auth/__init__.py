"""Logins, users, API tokens, and who may call which route."""
