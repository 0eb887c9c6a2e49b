"""A labelled set described in a TOML file: where its images are, and what holds for all of them."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline.subject import FrontalView, Subject
from pipeline.training.labelled.image import DatasetError
from pipeline.types import Population


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Manifest:
    """images: a folder with NORMAL and PNEUMONIA, or with splits of them, or a CSV.

    origin: the hospital or collection, by default the TOML file's name; population, view: of all
        images. What a row of the CSV states goes before.
    root: what a CSV's files are relative to, by default its folder. as_normal: further labels that
        mean normal, such as those of other diseases. patient_column: another title of the column
        patient. rows: use only rows that have one of these values, by title of the column.
        has_splits: whether the column split is read.

    Paths are relative to the TOML file.
    """

    images: Path
    origin: str = ""
    population: Population | None = None
    view: FrontalView | None = None
    root: Path | None = None
    as_normal: tuple[str, ...] = ()
    patient_column: str | None = None
    rows: Mapping[str, tuple[str, ...]] | None = None
    has_splits: bool = True

    @property
    def subject(self) -> Subject:
        return Subject(self.population, self.view)


def is_manifest(place: Path) -> bool:
    return place.suffix.lower() == ".toml" and place.is_file()


def read_manifest(path: Path) -> Manifest:
    """Return it with whole paths and an origin. Raises DatasetError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DatasetError(f"{path}: not valid TOML: {error}") from None
    for name in ("images", "root"):
        if isinstance(values.get(name), str):
            values[name] = path.parent / values[name]
    try:
        return TypeAdapter(Manifest).validate_python({"origin": path.stem} | values)
    except ValidationError as error:
        raise DatasetError(f"{path}: {_first(error.errors()[0])}") from None


def _first(error: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in error["loc"][:2])
    return f"{name}: {error['msg']}"
