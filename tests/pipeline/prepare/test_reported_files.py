"""Files like those of public bug reports, in the shared data: each is read like its right form.

The files show one of two films; tests beside the code make files of the same kinds.
"""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import RefusedError
from pipeline.prepare.prepare import prepare
from pipeline.types import RangeRule

pytestmark = pytest.mark.shared

NORMAL, PNEUMONIA = "deid_float_without_uid_1.dcm", "deid_float_without_uid_2.dcm"
LEVELS = 1.0  # of 255, mean difference of network inputs; the two films differ by 32
WINDOW, TABLE, STATED = RangeRule.WINDOW, RangeRule.TABLE, RangeRule.STATED
STORED, USED, NARROW = RangeRule.BITS_STORED, RangeRule.BITS_USED, RangeRule.PERCENTILES

# By file: the film, the rule of its range, and what its warnings name.
READ: dict[str, tuple[str, RangeRule, tuple[str, ...]]] = {
    "range_dx_10in12_nowindow.dcm": (PNEUMONIA, USED, ("0 to 1023",)),
    "range_dx_12in16_nowindow_mono1.dcm": (NORMAL, USED, ("0 to 4095",)),
    "range_dx_signed16_0_16383_nowindow.dcm": (NORMAL, USED, ("0 to 16383",)),
    "range_png16_holding_12bit.png": (PNEUMONIA, USED, ("0 to 4095",)),
    "range_png16_holding_14bit.png": (NORMAL, USED, ("0 to 16383",)),
    "range_tif16_12bit_maxsamplevalue.tif": (NORMAL, STATED, ()),
    "range_tif_int16_full.tif": (NORMAL, USED, ("0 to 32767",)),
    "range_dx_window_decimal_comma_bs16.dcm": (NORMAL, WINDOW, ("Window Center", "Window Width")),
    "window_win16_on_12bit.dcm": (NORMAL, STORED, ("window does not fit",)),
    "window_win8_on_12bit.dcm": (PNEUMONIA, STORED, ("window does not fit",)),
    "window_offset32768.dcm": (NORMAL, WINDOW, ("moved by their offset",)),
    "voilut_empty_item_window_beside.dcm": (NORMAL, WINDOW, ("VOI LUT Sequence",)),
    "jpeg12_extended_12bit_dcmtk.dcm": (PNEUMONIA, WINDOW, ()),
    "j2k_tail_padded_ff.dcm": (NORMAL, WINDOW, ()),
    "j2k_tail_psot0_zero_pad.dcm": (NORMAL, WINDOW, ()),
    "bitsstored_14bit_values_in_12.dcm": (NORMAL, WINDOW, ("Bits Stored",)),
    "aside_frames_0.dcm": (NORMAL, WINDOW, ("Number of Frames",)),
    "aside_rescale_slope_0.dcm": (NORMAL, WINDOW, ("Rescale Slope",)),
    "aside_voi_function_sampled_sigmoid.dcm": (NORMAL, WINDOW, ("VOI LUT Function",)),
    "aside_padding_text.dcm": (NORMAL, WINDOW, ("Pixel Padding Value",)),
    "aside_slope_decimal_comma.dcm": (NORMAL, WINDOW, ("Rescale Slope",)),
    "deid_big_endian_ow_8bit.dcm": (NORMAL, STORED, ()),
    "deid_name_in_photometric.dcm": (NORMAL, STORED, ("Photometric Interpretation",)),
    "layout_j2k_rct_stated_ybr_full.dcm": (NORMAL, STORED, ("Photometric Interpretation",)),
    "layout_native_undefined_length.dcm": (PNEUMONIA, WINDOW, ("fragments",)),
    "layout_ybr422_stored_full.dcm": (NORMAL, STORED, ("Photometric Interpretation",)),
    "layout_mono_three_samples.dcm": (NORMAL, STORED, ("Photometric Interpretation",)),
    "tiff_float_miniswhite.tif": (NORMAL, USED, ()),
    "tiff_float64.tif": (NORMAL, USED, ()),
    "tiff_thumbnail_first.tif": (PNEUMONIA, STORED, ()),
    "tiff_uint32.tif": (NORMAL, STORED, ()),
    "view_for_processing.dcm": (NORMAL, WINDOW, ("FOR PROCESSING",)),
    "view_bodypart_poitrine.dcm": (NORMAL, WINDOW, ("Body Part Examined",)),
    "view_bodypart_torso.dcm": (NORMAL, WINDOW, ("Body Part Examined",)),
    "view_bodypart_chestpaerect.dcm": (NORMAL, WINDOW, ("Body Part Examined",)),
    "shown_presentation_inverse.dcm": (NORMAL, WINDOW, ()),
    "reason_jpeg_12bit.jpg": (NORMAL, STORED, ()),
    "reason_explicit_but_jpeg.dcm": (NORMAL, STORED, ("Transfer Syntax UID",)),
}
# The same film through one contrast table, which other readers apply as well.
TABLES: dict[str, tuple[str, ...]] = {
    "voilut_bits16_entries12.dcm": ("VOI LUT Sequence",),
    "voilut_8bit_packed_ow.dcm": (),
    "voilut_one_entry_short.dcm": ("VOI LUT Sequence",),
    "voilut_first_negative_as_us.dcm": (),
}
REFUSED = {
    "view_viewcode_lateral_srt.dcm": "a lateral view: View Code Sequence (0054,0220)",
    "view_viewposition_words.dcm": "a lateral view: View Position (0018,5101)",
    "view_region_hand.dcm": "not a chest radiograph: Anatomic Region Sequence (0008,2218)",
}


@pytest.fixture(scope="module")
def reported(shared_data: Path) -> Path:
    return shared_data / "reports" / "imaging"


def _difference(path: Path, other: Path) -> float:
    one, two = (prepare(each).network_input.astype(int) for each in (path, other))
    return float(np.abs(one - two).mean())


@pytest.mark.parametrize("name", READ)
def test_file_is_read_like_the_right_film(reported: Path, name: str) -> None:
    film, rule, named = READ[name]
    prepared = prepare(reported / name)
    assert _difference(reported / name, reported / film) < LEVELS
    assert prepared.range_rule == rule
    assert len(prepared.warnings) == len(named)
    assert all(one in text for one, text in zip(named, prepared.warnings, strict=True))


@pytest.mark.parametrize("name", TABLES)
def test_faulty_table_is_applied_like_the_whole_one(reported: Path, name: str) -> None:
    prepared = prepare(reported / name)
    assert prepared.range_rule == TABLE
    assert _difference(reported / name, reported / "voilut_first_negative_as_us.dcm") < LEVELS
    assert all(one in text for one, text in zip(TABLES[name], prepared.warnings, strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_other_view_or_part_gets_no_answer(reported: Path, name: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        prepare(reported / name)
    assert str(refusal.value).startswith(REFUSED[name])
