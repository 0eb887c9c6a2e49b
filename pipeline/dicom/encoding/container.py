"""Whether Pixel Data hold streams, samples or fragments of them, whatever the syntax states."""

from dataclasses import replace

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from pipeline.dicom.attributes import label
from pipeline.dicom.description import Description
from pipeline.dicom.encoding.believed import believe
from pipeline.dicom.encoding.fragments import (
    encoded_frame,
    fragments,
    is_fragmented,
    is_rle_stream,
    is_stream,
    pixel_data,
    pixel_data_length,
    trim,
)
from pipeline.dicom.encoding.syntaxes import (
    NATIVE_IN_FRAGMENTS,
    is_retired,
    is_supported,
    syntax_name,
    syntax_of_stream,
)
from pipeline.errors import damaged, unsupported


def unpack(dataset: Dataset, description: Description) -> Description:
    """Return the description with the syntax in which the pixels are encoded in truth.

    Pixel Data become fragments with streams, or samples without fragments. Raises RefusedError,
    naming the contradiction, where they are neither.
    """
    fragmented = is_fragmented(dataset, description)
    if not description.syntax.is_encapsulated:
        content = pixel_data(dataset)
        if _fits(content, description) or not (fragmented or is_stream(content)):
            return description
    stream = _first_stream(dataset, description, fragmented=fragmented)
    if is_stream(stream):
        if not fragmented:
            dataset["PixelData"].value = encapsulate([stream])
        return _with_syntax_of(stream, description)
    if description.syntax == RLELossless or is_rle_stream(stream, description):
        return believe(description, "TransferSyntaxUID", RLELossless)
    return _unpack_samples(dataset, description, fragmented=fragmented)


def _first_stream(dataset: Dataset, description: Description, *, fragmented: bool) -> bytes:
    if not fragmented:
        return trim(pixel_data(dataset))
    if description.syntax == ExplicitVRBigEndian:
        return b""
    return encoded_frame(dataset, description, 0)


def _with_syntax_of(stream: bytes, description: Description) -> Description:
    syntax = syntax_of_stream(stream, stated=description.syntax)
    if is_retired(description.syntax):
        return replace(description, syntax=syntax)
    return believe(description, "TransferSyntaxUID", syntax)


def _unpack_samples(dataset: Dataset, description: Description, *, fragmented: bool) -> Description:
    """Join the fragments of native samples; the first may be a table of offsets."""
    syntax = description.syntax
    parts = fragments(dataset, description) if fragmented else [pixel_data(dataset)]
    for some in (parts[1:], parts):
        samples = b"".join(some)
        if not _fits(samples, description):
            continue
        dataset["PixelData"].value = samples
        if syntax == NATIVE_IN_FRAGMENTS:
            return replace(description, syntax=ExplicitVRLittleEndian)
        if syntax.is_encapsulated:
            return believe(description, "TransferSyntaxUID", ExplicitVRLittleEndian)
        warning = f"{_in_fragments(description)}: they are read as one"
        return replace(description, warnings=(*description.warnings, warning))
    if not syntax.is_encapsulated:
        raise damaged(f"{_in_fragments(description)}, and is of another length than the tags state")
    if not is_supported(syntax):
        raise unsupported(f"the transfer syntax {syntax_name(syntax)} is not supported")
    raise damaged(
        f"the pixel data are not {syntax_name(syntax)}, which {label('TransferSyntaxUID')} states"
    )


def _in_fragments(description: Description) -> str:
    name = syntax_name(description.syntax)
    return f"Pixel Data (7FE0,0010) is in fragments, which {name} does not allow"


def _fits(samples: bytes, description: Description) -> bool:
    """Whether native samples have the length that the tags state, perhaps padded (PS3.5 8.1.1)."""
    return len(samples) - pixel_data_length(description) in (0, 1)
