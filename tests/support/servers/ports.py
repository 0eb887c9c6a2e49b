"""Ports below those that the kernel deals out: a server that stops finds its own free again."""

import random
import socket
from contextlib import suppress

BELOW_DEALT_OUT = range(20_000, 32_000)  # ip(7), ip_local_port_range


def lasting_port() -> int:
    while True:
        port = random.SystemRandom().choice(BELOW_DEALT_OUT)
        with suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
