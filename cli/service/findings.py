"""What one check of the doctor's has found."""

from collections.abc import Callable
from dataclasses import dataclass

from cli.settings import masked


@dataclass(frozen=True)
class Finding:
    mark: str  # "ok", "-" (not there, and need not be), "WRONG"
    what: str
    says: str

    @property
    def is_wrong(self) -> bool:
        return self.mark == "WRONG"


def checked(what: str, check: Callable[[], str | Finding]) -> Finding:
    """check: returns what is well, or what else was found; raises what is wrong."""
    try:
        found = check()
    except Exception as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding("WRONG", what, masked(line) if "://" in line else line)
    return found if isinstance(found, Finding) else Finding("ok", what, found)
