"""Queries on users, passwords, logins and API tokens."""
