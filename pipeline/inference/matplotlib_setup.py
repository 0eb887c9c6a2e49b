"""Matplotlib, imported so that it leaves no files in the home folder."""

from typing import Any

from pipeline.inference.import_folder import import_folder


def import_matplotlib() -> Any:
    """Its settings and its list of fonts are read, and would be written, on the first import."""
    with import_folder("MPLCONFIGDIR"):
        import matplotlib
        import matplotlib.font_manager
    return matplotlib
