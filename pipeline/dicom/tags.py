"""Attributes read one by one: what is missing or odd gets its usual meaning and a warning."""

import math
import re
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from pipeline.dicom.attributes import code, label, raw_value, text
from pipeline.dicom.vocabulary.terms import TERMS
from pipeline.errors import RefusedError, damaged

_COMMA: Final = re.compile(r"[-+]?\d+,\d+")
# The functional group that may state an attribute (PS3.3 C.7.6.16.2.1, .9 and .10).
_GROUPS: Final = {
    **dict.fromkeys(["RescaleSlope", "RescaleIntercept"], "PixelValueTransformationSequence"),
    **dict.fromkeys(["WindowCenter", "WindowWidth"], "FrameVOILUTSequence"),
    **dict.fromkeys(["VOILUTFunction", "VOILUTSequence"], "FrameVOILUTSequence"),
    "PixelSpacing": "PixelMeasuresSequence",
}


class Tags:
    """A data set's attributes, and a warning for each that was not read as stated."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.warnings: list[str] = []
        self._groups = {sequence: self._items(sequence) for sequence in set(_GROUPS.values())}

    def holder(self, keyword: str) -> Dataset:
        """Return the data set that states the attribute for the first frame."""
        return self.holders(keyword)[0]

    def holders(self, keyword: str) -> list[Dataset]:
        """Return the data sets that may state the attribute, the one that should first."""
        return [*self._groups.get(_GROUPS.get(keyword, ""), ()), self.dataset]

    def _items(self, keyword: str) -> list[Dataset]:
        """Return the first frame's functional groups of this kind (PS3.3 C.7.6.16)."""
        items = []
        for frames in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
            groups = self.sequence(self.dataset, frames)
            items += self.sequence(groups[0], keyword)[:1] if groups else []
        return [item for item in items if item]

    def sequence(self, dataset: Dataset, keyword: str) -> list[Dataset]:
        try:
            return list(raw_value(dataset, keyword) or ())
        except RefusedError:
            self.warn(keyword, "it is not read")
            return []

    def warn(self, keyword: str, meaning: str, *, fault: str = "is not usable") -> None:
        self.warnings.append(f"{label(keyword)} {fault}: {meaning}")

    def required(self, keyword: str) -> int:
        """Return a count that nothing else states. Raises RefusedError."""
        value = self.number(keyword)
        if value is None:
            raise damaged(f"{label(keyword)} is missing")
        if not value.is_integer():
            raise damaged(f"{label(keyword)} is not a whole number")
        return int(value)

    def integer(
        self,
        keyword: str,
        *,
        usual: int,
        least: int = 0,
        greatest: int = 2**31 - 1,
        is_required: bool = False,
    ) -> int:
        """Return the stated whole number from `least` to `greatest`, else the usual one.

        is_required: whether to warn also where the attribute is missing.
        """
        value = self.number(keyword)
        if value is not None and value.is_integer() and least <= value <= greatest:
            return int(value)
        if value is not None or is_required:
            fault = "is missing" if value is None else "is not usable"
            self.warn(keyword, f"{usual} is assumed", fault=fault)
        return usual

    def number(self, keyword: str) -> float | None:
        """Return the first value, NaN if it is not a number, None if missing or empty."""
        values = self.numbers(keyword)
        if len(values) > 1:
            self.warn(keyword, "the first is read", fault="has several values")
        return values[0] if values else None

    def usable(self, keyword: str, meaning: str) -> float | None:
        """Like `number`, but None, with a warning, where it is not a number."""
        value = self.number(keyword)
        if value is None or math.isfinite(value):
            return value
        self.warn(keyword, meaning)
        return None

    def numbers(self, keyword: str) -> list[float]:
        """Return all values, NaN for what is not a number, [] if missing or empty."""
        entries = self.entries(keyword, self.holder(keyword))
        return [entry for entry in entries if entry is not None]

    def entries(self, keyword: str, holder: Dataset) -> list[float | None]:
        """Return the values of a holder, None for each that is empty, [] if all are."""
        try:
            value = raw_value(holder, keyword)
        except RefusedError:
            return [math.nan]
        values = list(value) if isinstance(value, (MultiValue, list)) else [value]
        if any(_has_comma(one) for one in values):
            self.warn(keyword, "it is read as a decimal point", fault="has a decimal comma")
        entries = [None if one is None or one == "" else _number(one) for one in values]
        return entries if any(entry is not None for entry in entries) else []

    def term(self, keyword: str, *, usual: str, holder: Dataset | None = None) -> str:
        """Return the first defined term of the attribute, else the usual one."""
        stated = self.code(keyword, holder)
        if stated in TERMS[keyword]:
            return stated
        if stated != "":
            self.warn(keyword, f"{usual} is assumed")
        return usual

    def code(self, keyword: str, holder: Dataset | None = None) -> str | None:
        """Return the first code string, "" if missing or empty, None for anything else."""
        holder = self.holder(keyword) if holder is None else holder
        try:
            return code(holder, keyword).split("\\")[0] or (None if text(holder, keyword) else "")
        except RefusedError:
            return None


def _has_comma(value: Any) -> bool:
    return isinstance(value, str) and _COMMA.fullmatch(value.strip()) is not None


def _number(value: Any) -> float:
    """Return NaN for anything but a finite number."""
    try:
        number = float(value.replace(",", ".") if _has_comma(value) else value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan
