"""What is sent: small PNGs, DICOM phantoms, duplicates, refused files, a zip."""

import hashlib
import io
import random
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.phantom.drawing import draw_phantom
from pipeline.phantom.studies import make_phantom_dicom
from pipeline.types import Finding
from tests.support.data.uploads import a_png

SHARES = {"dicom": 0.03, "duplicate": 0.02, "refused": 0.02}  # the others are PNGs
ONE_ZIPPED_OF = 20


@dataclass(frozen=True)
class Sent:
    """One file, which becomes one image. is_refused: not a radiograph. content: its bytes."""

    file: str
    sha256: str
    is_refused: bool
    content: bytes


def make_files(folder: Path, count: int, *, seed: int) -> list[Sent]:
    """Write `count` files, some in one zip; return each with its name in the service."""
    sent = []
    folder.mkdir()
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        for number, (file, (content, is_refused)) in enumerate(_contents(count, seed=seed).items()):
            name = f"{folder.name}/{file}"
            if number % ONE_ZIPPED_OF == 0:
                archive.writestr(file, content)
                name = f"{folder.name}/archive.zip/{file}"
            else:
                (folder / file).parent.mkdir(exist_ok=True)
                (folder / file).write_bytes(content)
            sent.append(Sent(name, hashlib.sha256(content).hexdigest(), is_refused, content))
    return sent


def _contents(count: int, *, seed: int) -> dict[str, tuple[bytes, bool]]:
    """File name -> its bytes, and whether they must be refused."""
    choose = random.Random(seed)
    made: dict[str, tuple[bytes, bool]] = {}
    for number, kind in enumerate(_kinds(count, choose)):
        folder = f"patient{number % 97:02d}"
        if kind == "dicom":
            made[f"{folder}/{number}.dcm"] = (_dicom(number, seed=seed), False)
        elif kind == "duplicate" and made:
            original = choose.choice(sorted(made))
            made[f"{folder}/{number}-{Path(original).name}"] = made[original]
        elif kind == "refused":
            made[f"{folder}/{number}.png"] = (_junk(number, choose), True)
        else:
            made[f"{folder}/{number}.png"] = (a_png(seed=number), False)
    return made


def _kinds(count: int, choose: random.Random) -> list[str]:
    kinds = [kind for kind, share in SHARES.items() for _ in range(max(1, round(share * count)))]
    kinds += ["png"] * (count - len(kinds))
    choose.shuffle(kinds)
    return kinds[:count]


def _dicom(number: int, *, seed: int) -> bytes:
    finding: Finding = "pneumonia" if number % 2 else "normal"
    pixels = draw_phantom(seed=number, finding=finding, size=(160, 160))
    buffer = io.BytesIO()
    dataset = make_phantom_dicom(pixels, number=number, image=1, seed=seed)
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _junk(number: int, choose: random.Random) -> bytes:
    """A text, noise, or half a PNG; all with different bytes."""
    text = f"file {number} is a text".encode()
    whole = a_png(seed=number)
    return choose.choice([text, choose.randbytes(200), whole[: len(whole) // 2]])
