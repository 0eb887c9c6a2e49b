"""No rights on any file, TCP port or other process, by Landlock (landlock(7))."""

import ctypes
import os
from typing import Final

from pipeline.prepare.sandbox.libc import call

# The same numbers on all architectures.
_CREATE_RULESET: Final = 444
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1

# By the version that brought them: how many rights on files there are (the lowest bits).
_FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP: Final = 0b11  # bind, connect; version 4
_SCOPES: Final = 0b11  # abstract sockets, signals; version 6


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


def version() -> int:
    """Return what the kernel knows of Landlock. Raises OSError where it has none."""
    return call("syscall", _CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)


def restrict() -> None:
    """Deny everything that the kernel's version knows; open descriptors stay usable.

    Needs `no_new_privs`. Raises OSError where the kernel lacks or forbids it.
    """
    known = version()
    ruleset = _Ruleset(
        handled_access_fs=(1 << _FILE_RIGHTS[min(known, max(_FILE_RIGHTS))]) - 1,
        handled_access_net=_TCP if known >= 4 else 0,
        scoped=_SCOPES if known >= 6 else 0,
    )
    # Older kernels accept the longer structure, as what they do not know is zero.
    size = ctypes.c_size_t(ctypes.sizeof(ruleset))
    descriptor = call("syscall", _CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    try:
        call("syscall", _RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)
