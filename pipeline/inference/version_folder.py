"""A model version's folder: written once, checked when opened, never changed."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pipeline.atomic_file import new_folder
from pipeline.checksum import sha256_of
from pipeline.errors import NetworkFolderError
from pipeline.familiarity.guard import FAMILIARITY_FILE
from pipeline.inference.engine import COMPILED_FILE, NETWORK_FILE
from pipeline.types import Calibration, OperatingPoint, Population, Precision

BASELINE: Final = Path(__file__).parents[1] / "baseline"  # the network that ships with the project
CARD_FILE: Final = "card.json"
CHECKSUMS_FILE: Final = "checksums.sha256"  # as `sha256sum --check` reads it
REQUIRED: Final = (
    NETWORK_FILE,
    COMPILED_FILE,
    "network.bin",
    CARD_FILE,
    "MODEL_CARD.md",
    FAMILIARITY_FILE,
)
# 1 had one operating point and no warning limit, 2 no populations; they are still read.
FORMAT: Final = 3


@dataclass(frozen=True)
class Card:
    """What an answer needs to know of its version; `raw` holds the whole of card.json.

    calibration: of all images, or of the default population's. populations: of each that is read
    apart from the others, or none; default_population: of images that state none.
    unfamiliarity_limit: above it there is no finding. warning_limit: above it there is
    `warning`, a plain sentence. operating_point: the one in use. precision: of the compiled
    network.
    """

    model_version: str
    calibration: Calibration
    unfamiliarity_limit: float
    warning_limit: float
    warning: str
    raw: Mapping[str, Any]
    operating_point: OperatingPoint = "balanced"
    precision: Precision = "float32"
    populations: Mapping[Population, Calibration] = field(default_factory=dict)
    default_population: Population | None = None

    @property
    def temperature(self) -> float:
        return self.calibration.temperature

    @property
    def thresholds(self) -> Mapping[OperatingPoint, float]:
        return self.calibration.thresholds

    @property
    def threshold(self) -> float:
        return self.thresholds[self.operating_point]

    def calibration_of(self, population: Population | None) -> Calibration:
        return (
            self.populations.get(population, self.calibration) if population else self.calibration
        )

    def at(self, operating_point: OperatingPoint) -> "Card":
        """Return the card with another operating point. Raises NetworkFolderError."""
        if operating_point not in self.thresholds:
            raise NetworkFolderError(
                f"{self.model_version} has no operating point {operating_point}, "
                f"only {', '.join(self.thresholds)}"
            )
        return replace(self, operating_point=operating_point)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Card":
        """raw: the whole of card.json. Raises KeyError, TypeError, ValueError."""
        is_first = raw["format"] == 1
        points: Mapping[OperatingPoint, Any]
        points = {"balanced": raw} if is_first else raw["operating_points"]
        populations = {
            name: _calibration(one, one["operating_points"])
            for name, one in raw.get("populations", {}).items()
        }
        default = raw["default_population"] if populations else None
        return cls(
            model_version=str(raw["model_version"]),
            calibration=populations[default] if populations else _calibration(raw, points),
            unfamiliarity_limit=float(raw["unfamiliarity_limit"]),
            warning_limit=float(raw["unfamiliarity_limit" if is_first else "warning_limit"]),
            warning="" if is_first else str(raw["warning"]),
            raw=raw,
            precision=raw.get("precision", "float32"),  # the only one of earlier releases
            populations=populations,
            default_population=default,
        )


def _calibration(raw: Mapping[str, Any], points: Mapping[OperatingPoint, Any]) -> Calibration:
    return Calibration(
        temperature=float(raw["temperature"]),
        thresholds={name: float(point["threshold"]) for name, point in points.items()},
        offset=float(raw.get("offset", 0.0)),
    )


def load_card(folder: Path) -> Card:
    """Read card.json. Raises NetworkFolderError."""
    path = folder / CARD_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NetworkFolderError(f"{CARD_FILE} is missing in {folder}") from error
    except ValueError as error:
        raise NetworkFolderError(f"{CARD_FILE} in {folder} is not JSON: {error}") from error
    try:
        if raw["format"] not in range(1, FORMAT + 1):
            raise NetworkFolderError(
                f"{CARD_FILE} in {folder}: expected format 1 to {FORMAT}, received {raw['format']}"
            )
        raw["metrics"]  # for the portal; `Card` has no use for it
        return Card.from_json(raw)
    except (KeyError, TypeError, ValueError) as error:
        raise NetworkFolderError(f"{CARD_FILE} in {folder} lacks {error}") from error


def verify_checksums(folder: Path) -> None:
    """Raise NetworkFolderError unless every file is there and is what was written."""
    listed = read_checksums(folder)
    for name in REQUIRED:
        if name not in listed:
            raise NetworkFolderError(f"{CHECKSUMS_FILE} in {folder} does not list {name}")
    for name, expected in listed.items():
        path = folder / name
        if not path.is_file():
            raise NetworkFolderError(f"{name} is missing in {folder}")
        if sha256_of(path) != expected:
            raise NetworkFolderError(f"{name} in {folder} is damaged: its checksum differs")


def read_checksums(folder: Path) -> dict[str, str]:
    """SHA-256 by file name. Raises NetworkFolderError."""
    try:
        lines = (folder / CHECKSUMS_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise NetworkFolderError(f"{CHECKSUMS_FILE} is missing in {folder}") from error
    listed = {}
    for line in lines:
        digest, separator, name = line.partition("  ")
        if not separator or Path(name).name != name:
            raise NetworkFolderError(f"{CHECKSUMS_FILE} in {folder} cannot be read")
        listed[name] = digest
    return listed


def write_folder(folder: Path, *, fill: Callable[[Path], None]) -> Path:
    """Let `fill` write the files of a version, add their checksums, and name the whole: all or
    nothing. Where two write the same version at once, the first one to end has written it.

    Raises FileExistsError, since a version never changes.
    """
    check_is_new(folder)
    with new_folder(folder) as partial:
        fill(partial)
        files = sorted(path for path in partial.iterdir() if path.name != CHECKSUMS_FILE)
        lines = [f"{sha256_of(path)}  {path.name}\n" for path in files]
        (partial / CHECKSUMS_FILE).write_text("".join(lines), encoding="utf-8")
        verify_checksums(partial)
    return folder


def check_is_new(folder: Path) -> None:
    """Raises FileExistsError."""
    if folder.exists():
        raise FileExistsError(f"{folder} exists; a model version is never changed")
