"""Short, always the same; FUZZ_EXAMPLES=20000 makes it long and different every time."""

import os
import warnings
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import seeds, targets
from tests.fuzz.mutations import kind_of, mutated

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
PICTURES, DICOMS = seeds.pictures(), seeds.dicoms()
ARCHIVES, TABLES = seeds.archives(), seeds.tables()


def fuzzed(examples: int) -> settings:
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@dataclass(frozen=True)
class Drawn:
    """Choices made by hypothesis, which finds the simplest that fail."""

    data: st.DataObject

    def number(self, most: int) -> int:
        return self.data.draw(st.integers(0, max(most, 0)))

    def content(self, most: int) -> bytes:
        return self.data.draw(st.binary(max_size=most))


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """The libraries warn of what is broken, as they should."""
    warnings.simplefilter("ignore")


@pytest.mark.parametrize("name", PICTURES)
@given(data=st.data())
@fuzzed(30)
def test_pictures(name: str, data: st.DataObject) -> None:
    targets.read_file(mutated(PICTURES[name], kind_of(name), Drawn(data)))


@pytest.mark.parametrize("name", DICOMS)
@given(data=st.data())
@fuzzed(40)
def test_dicom(name: str, data: st.DataObject) -> None:
    targets.read_file(mutated(DICOMS[name], "dicom", Drawn(data)))


@pytest.mark.parametrize("name", ARCHIVES)
@given(data=st.data())
@fuzzed(60)
def test_archives(name: str, data: st.DataObject) -> None:
    targets.read_archive(mutated(ARCHIVES[name], "zip", Drawn(data)))


@pytest.mark.parametrize("name", TABLES)
@given(data=st.data())
@fuzzed(100)
def test_tables_of_labels(name: str, data: st.DataObject) -> None:
    targets.read_table(mutated(TABLES[name], "csv", Drawn(data)))


@given(content=st.binary(max_size=400) | st.text(max_size=300).map(str.encode))
@fuzzed(200)
def test_anything(content: bytes) -> None:
    targets.read_file(content)
    targets.read_archive(b"PK\x03\x04" + content)
    targets.read_table(content)


def test_the_seeds_are_read() -> None:
    """Else nothing behind the first check would be fuzzed."""
    assert all(targets.read_file(content) for content in (PICTURES | DICOMS).values())
    assert all(targets.read_archive(content) == 3 for content in ARCHIVES.values())
    assert all(targets.read_table(content) for content in TABLES.values())
