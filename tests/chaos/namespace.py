"""A small disk that can be filled without affecting anything else.

A process with its own mount namespace may mount a file system in memory, which disappears with the
namespace's last process. Root can create one, and on most systems any user.
"""

import os
import subprocess
import sys
from pathlib import Path

INSIDE = "CHAOS_HAS_NAMESPACE"
AS_ROOT = ("unshare", "--mount")
# Keeps the user: PostgreSQL does not start as root.
AS_ANYONE = ("unshare", "--user", "--map-current-user", "--mount", "--keep-caps")


def enter_namespace() -> None:
    """Replace this process by the same command inside a namespace, if one can be created."""
    if INSIDE in os.environ:
        return
    way = AS_ROOT if os.geteuid() == 0 else AS_ANYONE
    environment = os.environ | {INSIDE: "1" if _works(way) else ""}
    if environment[INSIDE]:
        command = [*way, sys.executable, *sys.orig_argv[1:]]
        os.execvpe(command[0], command, environment)  # noqa: S606  replacing ourselves is the point


def mount_disk(folder: Path, *, size_bytes: int) -> bool:
    """Mount an empty disk at `folder`; False if that is impossible."""
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
