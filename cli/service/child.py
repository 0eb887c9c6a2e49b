"""Call a function in a child process, which frees the memory of its imports when it ends."""

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from cli.errors import Failed

Value = TypeVar("Value")


def in_child(function: Callable[..., Value], *arguments: Any) -> Value:
    """Only while this process has one thread, since it is forked.

    What the function raises is raised here.
    """
    context = multiprocessing.get_context("fork")
    reading, writing = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(writing, function, arguments))
    child.start()
    writing.close()
    try:
        value, error = reading.recv()
    except EOFError:
        raise Failed(f"{function.__name__} ended unexpectedly; see the lines above") from None
    finally:
        child.join()
    if error is not None:
        raise error
    return value  # type: ignore[no-any-return]


def _answer(
    writing: Connection, function: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    answer: tuple[object, Exception | None]
    try:
        answer = function(*arguments), None
    except Exception as error:
        error.add_note(traceback.format_exc())  # shown where it is not expected
        answer = None, error
    writing.send(answer)
