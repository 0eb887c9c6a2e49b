"""Settings, secrets and log configuration of a process."""
