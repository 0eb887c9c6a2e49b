"""Labelled images as they lie on a disk: folders NORMAL and PNEUMONIA, or the rows of a CSV."""
