from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.evaluation.heatmaps.boxes import BoxesError, read_boxes

HEADER = "file,x,y,w,h,image_w,image_h\n"


@pytest.fixture
def external(tmp_path: Path) -> Path:
    folder = tmp_path / "external"
    folder.mkdir()
    Image.new("L", (20, 10)).save(folder / "a.png")
    Image.new("L", (20, 10)).save(tmp_path / "b.png")
    return folder


def test_read_boxes_gives_shares_by_image(external: Path) -> None:
    lines = ["external/a.png,2,1,4,2,20,10", "b.png,0,0,20,10,20,10", "a.png,10,5,10,5.4,20,10"]
    (external / "boxes.csv").write_text(HEADER + "\n".join(lines))
    first, second = sorted(read_boxes(external / "boxes.csv"), key=lambda image: image.path.name)
    np.testing.assert_allclose(first.boxes, [[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 1, 1]])
    assert first.path == external / "a.png"
    assert second.path == external.parent / "b.png"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.png,2,1,4,two,20,10", "expected numbers in x, y, w, h, image_w, image_h"),
        ("a.png,2,1,4", "expected numbers"),
        ("a.png,2,1,nan,2,20,10", "expected a box in an image of 20 x 10"),
        ("a.png,2,1,40,2,20,10", "expected a box in an image of 20 x 10"),
        ("a.png,2,1,0,2,20,10", "expected a box"),
        ("c.png,2,1,4,2,20,10", "no such file: c.png"),
    ],
)
def test_read_boxes_names_an_invalid_line(external: Path, line: str, said: str) -> None:
    (external / "boxes.csv").write_text(f"{HEADER}a.png,0,0,1,1,20,10\n{line}\n")
    with pytest.raises(BoxesError, match=r"boxes\.csv, line 3: ") as caught:
        read_boxes(external / "boxes.csv")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_read_boxes_refuses_missing_lists_and_columns(external: Path) -> None:
    with pytest.raises(BoxesError, match="a list of boxes, found none"):
        read_boxes(external / "boxes.csv")
    (external / "boxes.csv").write_text(HEADER)
    with pytest.raises(BoxesError, match="expected boxes, found none"):
        read_boxes(external / "boxes.csv")
    (external / "boxes.csv").write_text("file,x\na.png,1\n")
    with pytest.raises(BoxesError, match="expected a column 'y'"):
        read_boxes(external / "boxes.csv")


def test_columns_of_the_rsna_are_in_pixels_of_1024(external: Path) -> None:
    (external / "boxes.csv").write_text("file,x,y,width,height\na.png,256,0,512,1024\n")
    (image,) = read_boxes(external / "boxes.csv")
    np.testing.assert_allclose(image.boxes, [[0.25, 0, 0.75, 1]])
