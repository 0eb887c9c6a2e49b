"""DICOM: attributes, pixel data, grayscale pipeline (PS3.3 C.7.6.3, C.11)."""
