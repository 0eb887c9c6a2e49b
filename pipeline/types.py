"""The hand-over types of the pipeline: small, frozen, without behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

if TYPE_CHECKING:  # idle workers do without it
    import numpy as np
    from numpy.typing import NDArray

Finding = Literal["pneumonia", "normal"]
OperatingPoint = Literal["balanced", "sensitive"]
Population = Literal["children", "adults"]  # learned from and reported apart
Precision = Literal["float32", "int8"]  # of the compiled network
LABELS: Final[dict[str, int]] = {"normal": 0, "pneumonia": 1}  # as the network learns them

# Version of the preprocessing, part of the names of stored network inputs: raise it whenever the
# same file would give other bytes. 2: JPEG 2000 is decoded at a lower resolution.
PREPROCESSING: Final = "2"
# Those whose inputs stand for each other: a version that was trained with one reads the others.
# They differ by a fifth of a grey level for JPEG 2000, and are equal for all other files.
EQUIVALENT_PREPROCESSINGS: Final = (PREPROCESSING, "1")
NETWORK_INPUT_SIDE: Final = 224  # pixels
# Activation in logits that is drawn at full strength in every image, so that two can be compared.
# Peaks of images predicted pneumonia: median 0.9 for children and 0.5 for adults, at least 0.12; of
# those predicted normal, 95 % lie below 0.13 and 0.3.
HEATMAP_FULL_SCALE: Final = 1.0


# What words mean in an installation, by keyword and code string: True for the chest or a frontal
# view, False for another part or view.
LocalTerms = Mapping[str, Mapping[str, bool]]
NO_LOCAL_TERMS: Final[LocalTerms] = {}


class Split(StrEnum):
    """Which part of the labelled images a patient belongs to, in ascending rank.

    Where copies of an image lie in two splits, the one of higher rank keeps it.
    """

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"

    @property
    def rank(self) -> int:
        return list(Split).index(self)


class RangeRule(StrEnum):
    """Which rule gave the range of values that is shown from black to white."""

    TABLE = "table"  # a VOI LUT, PS3.3 C.11.2.1.1
    WINDOW = "window"  # C.11.2.1.2
    BITS_STORED = "bits stored"  # all values that the stated bits hold
    BITS_USED = "bits used"  # the smallest usual range that holds the values
    PERCENTILES = "percentiles"  # of the values themselves
    STATED = "stated"  # by another format's own attribute


# (H, W), 0 = black: uint8 up to 255, or float32 up to 1 where there may be more levels.
GreyPixels: TypeAlias = "NDArray[np.uint8] | NDArray[np.float32]"


@dataclass(frozen=True)
class DecodedImage:
    """Pixels as a viewer shows them.

    levels: of the pixels, upright, padding removed.
    rows, columns: size as stored in the file, before any reduced-scale decoding.
    frames: number of frames in the file; only the first is read.
    tags: the short list of DICOM attributes that is kept, by keyword (PS3.6), e.g.
        {"Modality": "CR", "ViewPosition": "PA"}; empty for other formats.
    warnings: plain sentences, e.g. "first of 3 frames read".
    range_rule: which rule gave the range of the levels.
    pixel_aspect: height of a pixel over its width.
    unknown_terms: code strings that are in no table, by keyword. They may be names.
    sampling: n where a pixel is that of the place of every nth one in a row and column of the
        file, as in lower resolutions of JPEG 2000; 1 where it is that of an area.
    """

    levels: GreyPixels
    rows: int
    columns: int
    frames: int = 1
    tags: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    range_rule: RangeRule = RangeRule.BITS_STORED
    pixel_aspect: float = 1.0
    unknown_terms: Mapping[str, str] = field(default_factory=dict)
    sampling: int = 1

    @property
    def pixels(self) -> "NDArray[np.float32]":
        """The levels as float32 (H, W) in [0, 1]."""
        import numpy as np

        if self.levels.dtype == np.uint8:
            return np.multiply(self.levels, np.float32(1 / 255), dtype=np.float32)
        return cast("NDArray[np.float32]", self.levels)


@dataclass(frozen=True)
class Deidentified:
    """A file without what identifies its patient.

    blob: the bytes that may be stored. media_type: of `blob`; another than the file's where
    it was converted to PNG.
    study_uid_hash, patient_hash: keyed hashes (64 hexadecimal digits), None where the file
    states no such identifier. sop_instance_uid: the pseudonymous one in `blob`. All three are
    None for anything but DICOM.
    """

    blob: bytes
    media_type: str
    study_uid_hash: str | None = None
    patient_hash: str | None = None
    sop_instance_uid: str | None = None


@dataclass(frozen=True)
class Prepared:
    """One file, ready for the network and, with a key, for the store.

    network_input: uint8 (224, 224), 0 = black. stored: None without a key. The others: as of
    `DecodedImage`.
    """

    network_input: "NDArray[np.uint8]"
    rows: int
    columns: int
    tags: dict[str, str]
    warnings: tuple[str, ...]
    range_rule: RangeRule
    pixel_aspect: float
    stored: Deidentified | None = None
    unknown_terms: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Inference:
    """What the network says of n images.

    logits: float32 (n,), before calibration.
    heatmaps: float32 (n, h, w), Grad-CAM of the pneumonia logit after ReLU, unscaled
        (Selvaraju 2017, eq. 2); h and w are those of the last feature map.
    features: float32 (n, channels), what familiarity is judged by: of format 2, mean and
        standard deviation over places of a middle feature map; of format 1, mean of the last.
    """

    logits: "NDArray[np.float32]"
    heatmaps: "NDArray[np.float32]"
    features: "NDArray[np.float32]"


@dataclass(frozen=True)
class Calibration:
    """How a version's logits become probabilities and findings, for all images or a population's.

    The probability is the sigmoid of (logit - offset) / temperature. thresholds: of it, by
    operating point.
    """

    temperature: float
    thresholds: Mapping[OperatingPoint, float]
    offset: float = 0.0


@dataclass(frozen=True)
class HeatmapTrust:
    """How far a heatmap can be trusted, in three numbers.

    peak: of the unscaled heatmap, in logits: the most that one place adds.
    concentration: 0 spread evenly over the image, 1 all in one place.
    inside_body: share of the heatmap's sum that lies on the body, in [0, 1].
    """

    peak: float
    concentration: float
    inside_body: float


@dataclass(frozen=True)
class Prediction:
    """One image's answer by one model version.

    logit: before calibration. probability: calibrated, in [0, 1].
    operating_point: which of the version's thresholds was used.
    temperature: what the logit was divided by.
    finding: None where the image is too unlike the training images for an answer.
    unfamiliarity: 0 usual, 1 strange. reason: why there is no finding, else None.
    heatmap: float32 (h, w), not negative, in logits; it fits the image as stored.
    orientation: of the stored image, corrected before the network; see `pipeline.upright`.
    population: as whose image it was read, where the version reads populations apart.
    """

    logit: float
    probability: float
    threshold: float
    operating_point: OperatingPoint
    temperature: float
    finding: Finding | None
    unfamiliarity: float
    reason: str | None
    warnings: tuple[str, ...]
    heatmap: "NDArray[np.float32]"
    heatmap_trust: HeatmapTrust
    model_version: str
    orientation: int = 0
    population: Population | None = None
