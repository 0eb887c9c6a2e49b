"""Health checks, metrics, audit and purges."""
