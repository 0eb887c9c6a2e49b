"""Imports of the portal."""

import subprocess
import sys


def test_portal_imports_neither_networks_nor_decoders() -> None:
    code = "import sys, web.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "flask" in loaded
    heavy = {"tensorflow", "keras", "openvino", "worker.tasks", "pydicom", "gdcm", "PIL", "alembic"}
    assert not loaded & heavy
