"""Networks, DICOM datasets, encoded images and zip archives for tests."""
