"""Commands that ask a running service through its API."""
