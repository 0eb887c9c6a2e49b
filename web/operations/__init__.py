"""Health checks, metrics, audit, unknown terms and purges."""
