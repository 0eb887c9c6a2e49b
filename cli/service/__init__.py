"""Commands that start and check the service on this machine."""
