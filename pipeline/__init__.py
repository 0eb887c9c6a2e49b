"""Pure imaging and learning: arrays and paths in, values out.

Knows no Flask, Celery, SQLAlchemy, Redis, nor the environment. Anyone may call it.
"""
