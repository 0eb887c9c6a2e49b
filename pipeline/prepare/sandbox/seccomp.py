"""Only the system calls of decoding, by a filter on their numbers (seccomp(2)).

No call that opens a file or a socket, starts a process or thread, or reaches another process is
among them, so only descriptors that are open before can be used.
"""

import ctypes
import errno
import platform
from typing import Final

from pipeline.prepare.sandbox.libc import PR_SET_SECCOMP, prctl

_AUDIT_ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
# Numbers on x86_64 and aarch64 (asm/unistd_64.h, asm-generic/unistd.h).
_ALLOWED: Final = {
    "read": (0, 63),
    "write": (1, 64),
    "writev": (20, 66),  # messages of C++ libraries
    "close": (3, 57),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),  # with the descriptor of the next file
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "futex": (202, 98),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "restart_syscall": (219, 128),  # after SIGSTOP and SIGCONT
    "setitimer": (38, 103),
    "sched_yield": (24, 124),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrandom": (318, 278),
    "gettimeofday": (96, 169),
    "clock_gettime": (228, 113),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
# linux/filter.h: load a word of `struct seccomp_data`, jump if equal, return.
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_KILL, _ALLOW, _DENY = 0x8000_0000, 0x7FFF_0000, 0x0005_0000 | errno.EPERM
_MODE_FILTER: Final = 2


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jump_true", ctypes.c_uint8),
        ("jump_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def install() -> None:
    """Deny all other calls with EPERM. Needs `no_new_privs`.

    Raises OSError where the kernel lacks it or the architecture is another.
    """
    machine = platform.machine()
    if machine not in _AUDIT_ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no filter for the architecture {machine}")
    column = list(_AUDIT_ARCHITECTURES).index(machine)
    code = _program(
        _AUDIT_ARCHITECTURES[machine], [numbers[column] for numbers in _ALLOWED.values()]
    )
    instructions = (_Instruction * len(code))(*(_Instruction(*one) for one in code))
    program = _Program(len(code), instructions)
    prctl(PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program))


def _program(architecture: int, allowed: list[int]) -> list[tuple[int, int, int, int]]:
    """Return instructions; jumps count from the next one."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        *((_JUMP_IF_EQUAL, len(allowed) - i, 0, number) for i, number in enumerate(allowed)),
        (_RETURN, 0, 0, _DENY),
        (_RETURN, 0, 0, _ALLOW),
    ]
