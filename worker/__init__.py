"""Celery: the order in which things happen. The portal calls `worker.enqueue` only."""
