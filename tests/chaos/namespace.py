"""A small disk of our own, so that filling it fills no one else's.

The kernel lets a process that has its own mount namespace mount a file system in memory; with the
last process of the namespace it is gone. Root may ask for one, and mostly anyone else, too.
"""

import os
import subprocess
import sys
from pathlib import Path

INSIDE = "CHAOS_HAS_NAMESPACE"
AS_ROOT = ("unshare", "--mount")
# Stays the user it was: a PostgreSQL server does not start for root.
AS_ANYONE = ("unshare", "--user", "--map-current-user", "--mount", "--keep-caps")


def enter_namespace() -> None:
    """Runs this very command again inside a namespace, where there can be one."""
    if INSIDE in os.environ:
        return
    way = AS_ROOT if os.geteuid() == 0 else AS_ANYONE
    environment = os.environ | {INSIDE: "1" if _works(way) else ""}
    if environment[INSIDE]:
        command = [*way, sys.executable, *sys.orig_argv[1:]]
        os.execvpe(command[0], command, environment)  # noqa: S606  replacing ourselves is the point


def mount_disk(folder: Path, *, size_bytes: int) -> bool:
    """An empty disk of that size at `folder`; False where there cannot be one."""
    if not os.environ.get(INSIDE):
        return False
    options = f"size={size_bytes},mode=0700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    return mounted.returncode == 0


def unmount_disk(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


def _works(way: tuple[str, ...]) -> bool:
    script = 'folder=$(mktemp -d) && mount -t tmpfs tmpfs "$folder"; worked=$?; '
    script += 'umount "$folder"; rmdir "$folder"; exit $worked'
    try:
        tried = subprocess.run([*way, "sh", "-c", script], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return tried.returncode == 0
