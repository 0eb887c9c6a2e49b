"""What Celery does at the start of a worker and of beat, where it would ignore an error."""

from collections.abc import Iterator
from contextlib import contextmanager

from models.config.secrets import SecretsError


@contextmanager
def ending_if_refused() -> Iterator[None]:
    """A process that must not start says why in one line, and ends.

    Celery logs what a signal's receiver raises, and continues, unless it is SystemExit.
    """
    try:
        yield
    except SecretsError as error:
        raise SystemExit(f"Error: {error}") from None
