"""Ports on this machine."""

import errno
import socket

from cli.fatal import UsageProblem


def is_free(host: str, port: int) -> bool:
    """Raises UsageProblem where nobody could listen, whether it is free or not."""
    return _listen(host, port) is not None


def free_port(host: str) -> int:
    """Raises UsageProblem."""
    port = _listen(host, 0)
    if port is None:
        raise UsageProblem(f"all ports of {host} are taken")
    return port


def _listen(host: str, port: int) -> int | None:
    """The port, for a moment; None where another program has it."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        # As gunicorn binds: a port whose last connections linger counts as free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return None
            raise UsageProblem(f"cannot listen on {host}, port {port}: {error.strerror}") from None
        found: int = listener.getsockname()[1]
        return found
