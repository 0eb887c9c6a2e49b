"""How often an address may try. In memory, so per process; `overread up` has one portal."""

from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from limits import parse

LOGINS = "20 per minute; 200 per hour"
WRONG_TOKENS = parse("30 per minute")

limiter = Limiter(get_remote_address, storage_uri="memory://")


def count_wrong_token() -> bool:
    """False where this address has sent too many; a right token always works, whoever else errs."""
    return limiter.limiter.hit(WRONG_TOKENS, "wrong token", get_remote_address())


def install_rates(app: Flask) -> None:
    limiter.init_app(app)
