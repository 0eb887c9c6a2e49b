"""Networks, DICOM datasets and zip archives for tests."""
