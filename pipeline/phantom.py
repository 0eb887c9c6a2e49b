"""Generated chest radiographs that show no one: single pictures, or whole folders of studies."""

from pipeline.phantom_drawing import draw_phantom
from pipeline.phantom_studies import write_phantom_studies

__all__ = ["draw_phantom", "write_phantom_studies"]
