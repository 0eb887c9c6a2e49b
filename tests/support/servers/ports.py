"""Ports below the ephemeral range: a server that restarts finds its own port still free."""

import random
import socket
from contextlib import suppress

BELOW_EPHEMERAL = range(20_000, 32_000)  # ip(7), ip_local_port_range


def lasting_port() -> int:
    while True:
        port = random.SystemRandom().choice(BELOW_EPHEMERAL)
        with suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
