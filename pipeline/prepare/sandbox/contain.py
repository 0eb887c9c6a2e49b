"""All layers, in the order in which they can be applied."""

import ctypes
import resource
from collections.abc import Callable
from typing import Final

from pipeline.prepare.sandbox import landlock, seccomp
from pipeline.prepare.sandbox.libc import PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, call, prctl

ON: Final = "on"
_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x0800_0000, 0x1000_0000, 0x4000_0000
_CAPABILITY_VERSION_3: Final = 0x2008_0522
_DESCRIPTORS: Final = 16  # standard ones, the pool's socket, one file
_LIMITS: Final = {
    resource.RLIMIT_CORE: 0,  # a core file would hold patient data
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_NPROC: 0,
    resource.RLIMIT_MEMLOCK: 0,
    resource.RLIMIT_NOFILE: _DESCRIPTORS,
}


def contain() -> dict[str, str]:
    """Give up files, network, other processes and privileges, for good.

    What is not imported or open by now can be neither afterwards. Returns by layer ON, or why the
    kernel does not grant it.
    """
    layers: dict[str, Callable[[], None]] = {
        "no_new_privs": _keep_privileges_down,
        "namespaces": _leave_namespaces,
        "capabilities": _drop_capabilities,
        "rlimits": _limit_resources,
        "landlock": landlock.restrict,
        "seccomp": seccomp.install,  # last, as it forbids the calls of the others
    }
    return {name: _outcome(apply) for name, apply in layers.items()}


def _outcome(apply: Callable[[], None]) -> str:
    try:
        apply()
    except OSError as error:
        return error.strerror or "refused"
    return ON


def _keep_privileges_down() -> None:
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_DUMPABLE, 0)  # others of the same user cannot look into it either


def _leave_namespaces() -> None:
    """Into a network without interfaces; as an ordinary user, in a user namespace (unshare(2))."""
    call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC)


def _drop_capabilities() -> None:
    """Also those that a user namespace brings (capset(2))."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    call("capset", header, (ctypes.c_uint32 * 6)())


def _limit_resources() -> None:
    for kind, limit in _LIMITS.items():
        resource.setrlimit(kind, (limit, limit))
