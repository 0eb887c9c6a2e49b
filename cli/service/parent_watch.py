"""Run a program that dies with its parent: `parent_watch.py PARENT_PID PROGRAM [ARGUMENT...]`.

The kernel sends SIGTERM to this process when its parent dies, even by SIGKILL, and the setting
survives exec (prctl(2), PR_SET_PDEATHSIG). Doing this in a fresh interpreter instead of
`preexec_fn` avoids running Python between fork and exec of a process that has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606  replacing this process is the point


if __name__ == "__main__":
    main()
