"""How pixels are encoded in a DICOM file: fragments, codecs, and layouts that tags misstate."""
