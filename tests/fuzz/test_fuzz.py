"""Fuzzing by hypothesis, short and deterministic; FUZZ_EXAMPLES=20000 makes it long and random."""

import os
import warnings
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import seeds, targets
from tests.fuzz.mutations import Choices, mutated

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
IMAGES, DICOMS = seeds.images(), seeds.dicoms()
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
class Drawn(Choices):
    """Choices made by hypothesis, which simplifies those that fail."""

    data: st.DataObject

    def number(self, most: int) -> int:
        return self.data.draw(st.integers(0, max(most, 0)))

    def content(self, most: int) -> bytes:
        return self.data.draw(st.binary(max_size=most))


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """Libraries rightly warn of damage."""
    warnings.simplefilter("ignore")


@pytest.mark.parametrize("name", IMAGES)
@given(data=st.data())
@fuzzed(30)
def test_mutated_images_end_in_a_result_or_a_refusal(name: str, data: st.DataObject) -> None:
    targets.read_file(mutated(name, IMAGES[name], Drawn(data)))


@pytest.mark.parametrize("name", DICOMS)
@given(data=st.data())
@fuzzed(40)
def test_mutated_dicom_ends_in_a_result_or_a_refusal(name: str, data: st.DataObject) -> None:
    targets.read_file(mutated(name, DICOMS[name], Drawn(data)))


@pytest.mark.parametrize("name", ARCHIVES)
@given(data=st.data())
@fuzzed(60)
def test_mutated_archives_end_in_members_or_a_refusal(name: str, data: st.DataObject) -> None:
    targets.read_archive(mutated(name, ARCHIVES[name], Drawn(data)))


@pytest.mark.parametrize("name", TABLES)
@given(data=st.data())
@fuzzed(100)
def test_mutated_label_tables_end_in_rows_or_reasons(name: str, data: st.DataObject) -> None:
    targets.read_table(mutated(name, TABLES[name], Drawn(data)))


@given(content=st.binary(max_size=400) | st.text(max_size=300).map(str.encode))
@fuzzed(200)
def test_arbitrary_bytes_end_in_a_result_or_a_refusal(content: bytes) -> None:
    targets.read_file(content)
    targets.read_archive(b"PK\x03\x04" + content)
    targets.read_table(content)


def test_unchanged_seeds_are_read() -> None:
    """Else nothing after the first check would be fuzzed."""
    assert all(targets.read_file(content) for content in (IMAGES | DICOMS).values())
    assert all(targets.read_archive(content) == 3 for content in ARCHIVES.values())
    assert all(targets.read_table(content) for content in TABLES.values())
