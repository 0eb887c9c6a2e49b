"""What a file or table states of a patient and of the view, as far as results depend on it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from pipeline.dicom.vocabulary.terms import AGE
from pipeline.dicom.vocabulary.views import kept_view
from pipeline.types import Population

FrontalView = Literal["AP", "PA"]
Sex = Literal["F", "M"]
ADULT_FROM_YEARS: Final = 18
OLDEST_YEARS: Final = 150
_UNITS_A_YEAR: Final = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}
_SEXES: Final[Mapping[str, Sex]] = {"f": "F", "female": "F", "m": "M", "male": "M"}


@dataclass(frozen=True)
class Subject:
    """Each is None where it is not stated. age_years: may be a fraction."""

    population: Population | None = None
    view: FrontalView | None = None
    sex: Sex | None = None
    age_years: float | None = None

    def or_else(self, other: "Subject") -> "Subject":
        """Return what is stated here, and the rest from the other."""
        return Subject(
            self.population or other.population,
            self.view or other.view,
            self.sex or other.sex,
            other.age_years if self.age_years is None else self.age_years,
        )


UNSTATED: Final = Subject()


def subject_of(cells: Mapping[str, str]) -> Subject:
    """Return what the columns population, view, sex and age of a table's row state.

    Without a population the age decides. Words for no view, sex or age count as not stated; raises
    ValueError for an unknown population, since a threshold may depend on it.
    """
    population = cells.get("population", "").casefold() or None
    if population not in (None, *get_args(Population)):
        raise ValueError(f"expected a population: {' or '.join(get_args(Population))}")
    age_years = age_in_years(cells.get("age", ""))
    return Subject(
        cast(Population | None, population) or population_of_age(age_years),
        _view(cells.get("view", "")),
        _SEXES.get(cells.get("sex", "").casefold()),
        age_years,
    )


def subject_of_tags(tags: Mapping[str, str]) -> Subject:
    """tags: as of `DecodedImage`."""
    age_years = age_in_years(tags.get("PatientAge", ""))
    return Subject(
        population_of_age(age_years),
        _view(tags.get("ViewPosition", "")),
        _SEXES.get(tags.get("PatientSex", "").casefold()),
        age_years,
    )


def populations_in(tags: Mapping[str, Mapping[str, str]]) -> dict[str, Population | None]:
    """Return the population that each file's tags state, by the file's key."""
    return {key: subject_of_tags(of_file).population for key, of_file in tags.items()}


def population_of_age(age_years: float | None) -> Population | None:
    if age_years is None:
        return None
    return "adults" if age_years >= ADULT_FROM_YEARS else "children"


def age_in_years(text: str) -> float | None:
    """Return an age such as 057Y or 010M (PS3.5 6.2, VR AS), or a number of years; else None."""
    if match := AGE.fullmatch(text.strip()):
        return int(match[1]) / _UNITS_A_YEAR[match[2]]
    if not re.fullmatch(r"\d+([.,]\d+)?", text.strip()):
        return None
    years = float(text.strip().replace(",", "."))
    return years if math.isfinite(years) and years <= OLDEST_YEARS else None


def _view(text: str) -> FrontalView | None:
    return cast(FrontalView, kept_view(text.upper())) or None
