"""Functions that are called in a process of their own."""

import os
import sys

import pytest

from cli.errors import Failed
from cli.service.child import in_child
from models.operations.upgrade import UpgradeRefusedError

MODULE = "this"  # a poem that nothing else imports


def imports_a_module(number: int) -> tuple[int, int]:
    __import__(MODULE)
    return number + 1, os.getpid()


def refuses() -> None:
    raise UpgradeRefusedError("a restore has not ended")


def dies() -> None:
    os._exit(3)


def test_value_comes_from_another_process_without_its_imports() -> None:
    value, process = in_child(imports_a_module, 1)
    assert value == 2
    assert process != os.getpid()
    assert MODULE not in sys.modules


def test_error_is_raised_here() -> None:
    with pytest.raises(UpgradeRefusedError, match="a restore has not ended") as raised:
        in_child(refuses)
    assert "in refuses" in raised.value.__notes__[0], "where it came from"


def test_end_without_an_answer_is_an_error() -> None:
    with pytest.raises(Failed, match="dies ended unexpectedly"):
        in_child(dies)
