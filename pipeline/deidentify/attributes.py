"""The attributes that a stored DICOM file takes over from the original, with the reason.

The Basic Profile (PS3.15 annex E, table E.1-1) lists what to remove; this lists what to keep, so
that no attribute is forgotten. Free text, private attributes, curves, overlays, dates and times
are never kept, nor any sequence but the two grayscale tables. Further ones are written by `dicom`
and `pixels`: pixels, palettes, the pseudonym of the patient, and how the file was de-identified.
"""

from typing import Final

# Sizes in mm, PS3.3 10.7.1.3, C.8.11.4 and C.8.6.2.
SPACINGS: Final = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
# Written by `elements` as numbers that were read, so that they cannot contain text.
NUMBERS: Final = (
    # How pixels are stored, C.7.6.3 and C.7.6.6.
    *("SamplesPerPixel", "PlanarConfiguration", "Rows", "Columns", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    # Which pixels show nothing, C.7.5.1.1.2.
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    *("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
    # From stored values to grey levels, C.11.1 and C.11.2: all windows, since any may be read.
    *("RescaleIntercept", "RescaleSlope", "WindowCenter", "WindowWidth"),
    # Proportions and sizes, C.7.6.3.
    *("PixelAspectRatio", *SPACINGS),
)
# Written by `elements` as defined terms that were read, C.7.6.3.1.2 and C.11.2.1.3.
READ_CODES: Final = ("PhotometricInterpretation", "VOILUTFunction")
# Kept if they are defined terms (see `pipeline.dicom.vocabulary.terms`).
CODES: Final = (
    # A frontal chest radiograph or not: they decide whether the file is read at all.
    *("Modality", "BodyPartExamined", "ViewPosition", "PatientOrientation"),
    # From stored values to grey levels, PS3.3 C.11.6.
    "PresentationLUTShape",
    # How it was made, and what readers are warned of: text or faces in the pixels.
    *("PresentationIntentType", "QualityControlImage", "LossyImageCompression"),
    *("ConversionType", "SyntheticData", "BurnedInAnnotation", "RecognizableVisualFeatures"),
)
# Replaced by keyed pseudonyms; the first groups a study's images, all are required.
UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
# From stored values to grey levels, C.11.1 and C.11.2; their numbers only.
TABLES: Final = ("ModalityLUTSequence", "VOILUTSequence")
# Required but may be empty (C.7.1.1, C.7.2.1), and are.
EMPTY: Final = (
    *("PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
