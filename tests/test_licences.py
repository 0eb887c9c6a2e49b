"""Licences of packages, as `make check` judges them."""

import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / ".ci" / "licences.py"))


@pytest.mark.parametrize(
    ("name", "licence", "is_accepted"),
    [
        ("a", "MIT", True),
        ("a", "MIT License", True),
        ("a", "BSD-3-Clause AND MIT", True),
        ("a", "GPL-3.0 OR MIT", True),
        ("a", "MIT AND GPL-3.0", False),
        ("a", "MIT License; GNU General Public License (GPL)", False),
        ("a", "GPL-3.0", False),
        ("a", "UNKNOWN", False),
        ("psycopg", "LGPL-3.0-only", True),
        ("psycopg", "AGPL-3.0", False),
    ],
)
def test_licences_are_allowed_or_excepted_one_by_one(
    name: str, licence: str, is_accepted: bool
) -> None:
    lines = SCRIPT["refused"]([{"Name": name, "Version": "1", "License": licence}])
    assert lines == ([] if is_accepted else [f"{name} 1: {licence}"])
