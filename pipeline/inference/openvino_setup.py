"""Import OpenVINO without its telemetry."""

import sys
from typing import Any


def import_openvino() -> Any:
    """OpenVINO without `openvino_telemetry`.

    That package looks up an address, writes a lasting client id to `~/intel`, and fails where
    there is no home folder. No environment variable disables it. OpenVINO and NNCF fall back to
    stubs when its import raises ImportError, which None in `sys.modules` causes. Call this before
    importing NNCF.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino
