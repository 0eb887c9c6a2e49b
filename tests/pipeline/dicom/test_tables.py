"""Modality and VOI LUTs as devices write them: small faults cost neither table nor image."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipeline.decode.decode import decode
from pipeline.dicom.lut import LookUpTable, read_table, word_order
from tests.support.data.builders import make_dataset, make_lut, make_picture, save_dicom
from tests.support.imaging.deidentified import deidentified

CURVE = np.rint(4095 * (np.arange(4096) / 4095) ** 1.5).astype(np.uint16)
BYTES = (CURVE >> 4).astype(np.uint8)
VALUES = 0, 4095


def item(descriptor: Any, data: Any, vr: str = "OW", descriptor_vr: str = "US") -> Dataset:
    table = Dataset()
    table.add_new("LUTDescriptor", descriptor_vr, descriptor)
    table.add_new("LUTData", vr, data)
    return table


def read(
    *items: Dataset, keyword: str = "VOILUTSequence", covers: Any = VALUES, syntax: Any = None
) -> tuple[LookUpTable | None, tuple[str, ...]]:
    dataset = Dataset()
    setattr(dataset, keyword, list(items))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax or ExplicitVRLittleEndian
    return read_table(dataset, keyword, covers=covers, order=word_order(dataset))


WORDS = CURVE.astype("<u2").tobytes()
AS_READ = {
    "OW": item([4096, 0, 12], WORDS),
    "OB": item([4096, 0, 12], WORDS, "OB"),
    "UN": item([4096, 0, 12], WORDS, "UN"),
    "US": item([4096, 0, 12], CURVE.tolist(), "US"),
    "SS": item([4096, 0, 12], CURVE.tolist(), "SS"),
    "bytes in OB": item([4096, 0, 8], BYTES.tobytes(), "OB"),
    "bytes in OW": item([4096, 0, 8], BYTES.tobytes()),
    "bytes in US": item([4096, 0, 8], BYTES.view("<u2").tolist(), "US"),
    "an odd number of bytes": item([4095, 0, 8], BYTES.tobytes()),
    "bytes, one to a word": item([4096, 0, 8], BYTES.astype("<u2").tobytes()),
    "too many entries": item([4000, 0, 12], WORDS),
    "four values in the descriptor": item([4096, 0, 12, 7], WORDS),
    "descriptor of unknown VR": item(
        np.array([4096, 0, 12], "<u2").tobytes(), WORDS, descriptor_vr="UN"
    ),
}


@pytest.mark.parametrize("kind", AS_READ)
def test_entries_of_every_form_are_read(kind: str) -> None:
    table, warnings = read(AS_READ[kind])
    assert table is not None
    assert warnings == ()
    expected = BYTES if "byte" in kind else CURVE
    assert table.bits == (8 if "byte" in kind else 12)
    np.testing.assert_array_equal(table.entries, expected[: len(table.entries)])
    assert len(table.entries) >= 4000


def test_words_and_packed_bytes_of_big_endian_files() -> None:
    swapped = BYTES.view("<u2").astype(">u2").tobytes()
    for data, bits in ((CURVE.astype(">u2").tobytes(), 12), (swapped, 8)):
        table, _ = read(item([4096, 0, bits], data), syntax=ExplicitVRBigEndian)
        assert table is not None
        np.testing.assert_array_equal(table.entries, CURVE if bits == 12 else BYTES)


@pytest.mark.parametrize(
    ("descriptor", "entries", "bits"),
    [
        ([4096, 0, 16], CURVE, 12),
        ([4096, 0, 0], CURVE, 12),
        ([4096, 0, 4096], CURVE, 12),
        ([4096, 0], CURVE, 12),
        ([4096, 0, 8], CURVE, 12),
        ([4096, 0, 16], CURVE >> 2, 10),
        ([4096, 0, 12], CURVE >> 6, 8),
    ],
)
def test_bits_that_do_not_fit_are_those_of_the_entries(
    descriptor: list[int], entries: Any, bits: int
) -> None:
    table, warnings = read(item(descriptor, entries.astype("<u2").tobytes()))
    assert table is not None
    assert (table.bits, len(warnings)) == (bits, 1)
    assert "VOI LUT Sequence (0028,3010)" in warnings[0]


def test_few_entries_above_the_stated_bits_are_cut() -> None:
    entries = CURVE + np.uint16(5)
    table, warnings = read(item([4096, 0, 12], entries.astype("<u2").tobytes()))
    assert table is not None
    assert (table.bits, table.entries.max(), warnings) == (12, 4095, ())


@pytest.mark.parametrize(("missing", "is_usable"), [(1, True), (200, True), (300, False)])
def test_table_that_ends_a_little_early_is_continued(missing: int, is_usable: bool) -> None:
    table, warnings = read(item([4096, 0, 12], CURVE[:-missing].astype("<u2").tobytes()))
    assert (table is not None, len(warnings)) == (is_usable, 1)
    if table:
        np.testing.assert_array_equal(table.entries[-missing:], CURVE[-missing - 1])


@pytest.mark.parametrize(
    ("stated", "covers", "first"),
    [
        (64512, (-1024, 3071), -1024),
        (64512, (0, 65535), 64512),
        (-1024, (0, 65535), 64512),
        (-1024, (-1024, 3071), -1024),
        (-1024, (0, 4095), -1024),
        (40000, (0, 65535), 40000),
        (500, VALUES, 500),
    ],
)
def test_first_value_is_signed_if_the_table_then_covers_the_values(
    stated: int, covers: tuple[int, int], first: int
) -> None:
    vr = "SS" if stated < 0 else "US"
    table, warnings = read(item([1000, stated, 12], WORDS[:2000], descriptor_vr=vr), covers=covers)
    assert table is not None
    assert (table.first, len(warnings)) == (first, 1)  # its entries are of ten bits


NOISE = np.random.default_rng(0).integers(0, 4096, 4096)
UNUSABLE = {
    "empty": Dataset(),
    "no data": item([4096, 0, 12], b""),
    "no descriptor": item(None, WORDS),
    "one value in the descriptor": item([4096], WORDS),
    "text": item("twelve", WORDS, descriptor_vr="LO"),
    "constant": item([4096, 0, 12], np.full(4096, 7, "<u2").tobytes()),
    "noise": item([4096, 0, 12], NOISE.astype("<u2").tobytes()),
    "half of the entries": item([4096, 0, 12], WORDS[:4096]),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_unusable_table_is_skipped(kind: str) -> None:
    for keyword, name in (("VOILUTSequence", "VOI LUT"), ("ModalityLUTSequence", "Modality LUT")):
        table, warnings = read(UNUSABLE[kind], keyword=keyword)
        assert table is None
        assert len(warnings) == 1
        assert warnings[0].startswith(f"{name} Sequence (0028,")
        assert warnings[0].endswith("holds no usable table")
        table, warnings = read(UNUSABLE[kind], AS_READ["OW"], keyword=keyword)
        assert table is not None
        assert warnings == ()


def test_no_items_are_no_fault() -> None:
    assert read() == (None, ())


IMAGE = make_picture(top=4095)


@pytest.mark.parametrize("kind", UNUSABLE)
def test_broken_tables_cost_no_image(kind: str, tmp_path: Path) -> None:
    dataset = make_dataset(IMAGE, bits_stored=12, RescaleSlope=0.5, RescaleIntercept=0)
    dataset.WindowCenter, dataset.WindowWidth = 1024, 2048
    dataset.VOILUTFunction = "LINEAR_EXACT"
    dataset.VOILUTSequence = dataset.ModalityLUTSequence = [UNUSABLE[kind]]
    path = save_dicom(tmp_path / "x.dcm", dataset)
    image = decode(path)
    np.testing.assert_allclose(image.pixels, IMAGE / 4096, atol=1e-6)
    assert len(image.warnings) == 2


@pytest.mark.parametrize("first", [0, -1024])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_stored_copy_has_the_table_that_was_read(first: int, syntax: Any, tmp_path: Path) -> None:
    table = make_lut(CURVE[:-3], first=first % 2**16, bits=16)
    table.LUTDescriptor[0] = 4096
    dataset = make_dataset(IMAGE, bits_stored=12, VOILUTSequence=[Dataset(), table])
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, first
    path = save_dicom(tmp_path / "x.dcm", dataset, transfer_syntax=syntax)
    expected = decode(path)
    np.testing.assert_allclose(expected.pixels, CURVE[IMAGE] / 4095, atol=0.002)
    path.write_bytes(deidentified(path.read_bytes()).blob)
    np.testing.assert_array_equal(decode(path).pixels, expected.pixels)
    assert decode(path).warnings == ()


def test_stored_copy_has_a_long_table_of_negative_values(tmp_path: Path) -> None:
    """Its number of entries and its first value share no VR."""
    entries = np.arange(2**16, dtype=np.uint16)
    dataset = make_dataset((IMAGE * 10.0 - 20000).astype(np.int16))
    dataset.VOILUTSequence = [make_lut(entries[:40000], first=2**15, bits=16)]
    path = save_dicom(tmp_path / "x.dcm", dataset)
    pixels = decode(path).pixels
    expected = np.minimum(IMAGE * 10.0 + 12768, 39999)
    np.testing.assert_allclose(pixels * 65535, expected, atol=1)
    path.write_bytes(deidentified(path.read_bytes()).blob)
    np.testing.assert_array_equal(decode(path).pixels, pixels)
