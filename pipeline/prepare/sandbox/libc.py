"""System calls that Python's standard library does not offer."""

import ctypes
import os
from typing import Any, Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)

PR_SET_DUMPABLE: Final = 4
PR_SET_SECCOMP: Final = 22
PR_SET_NO_NEW_PRIVS: Final = 38


def call(function: str, *arguments: Any) -> int:
    """Call a function of the C library. Raises OSError where it returns -1."""
    result: int = getattr(_LIBC, function)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def prctl(option: int, value: int, pointer: Any = 0) -> None:
    """See prctl(2); all arguments are as wide as a register."""
    zero = ctypes.c_ulong(0)
    pointed = pointer if pointer else zero
    call("prctl", ctypes.c_int(option), ctypes.c_ulong(value), pointed, zero, zero)
