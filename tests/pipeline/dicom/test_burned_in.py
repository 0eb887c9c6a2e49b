"""What tags admit of text in the pixels is said beside the image."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from pipeline.decode.decode import decode
from pipeline.dicom.frontal import FACE, HINT, TEXT
from tests.support.data.builders import make_dicom


@pytest.mark.parametrize(
    ("attributes", "warnings"),
    [
        ({}, ()),
        ({"BurnedInAnnotation": "NO"}, ()),
        ({"BurnedInAnnotation": "YES"}, (TEXT,)),
        ({"BurnedInAnnotation": "yes"}, (TEXT,)),
        ({"RecognizableVisualFeatures": "YES"}, (FACE,)),
        ({"BurnedInAnnotation": "YES", "RecognizableVisualFeatures": "YES"}, (TEXT, FACE)),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, (HINT,)),
        ({"SOPClassUID": MultiFrameGrayscaleByteSecondaryCaptureImageStorage}, (HINT,)),
        ({"SOPClassUID": SecondaryCaptureImageStorage, "BurnedInAnnotation": "NO"}, ()),
        ({"SOPClassUID": SecondaryCaptureImageStorage, "BurnedInAnnotation": "YES"}, (TEXT,)),
        ({"ConversionType": "DF"}, (HINT,)),
        ({"ConversionType": "DSI"}, ()),
        ({"Modality": "OT"}, (HINT,)),
    ],
)
def test_what_tags_admit_is_said(
    tmp_path: Path, attributes: dict[str, Any], warnings: tuple[str, ...]
) -> None:
    assert decode(make_dicom(tmp_path / "x.dcm", **attributes)).warnings == warnings
