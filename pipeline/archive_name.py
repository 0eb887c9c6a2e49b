"""Names inside archives: whether one may be used, and how it is shown."""

import re
import unicodedata

from pipeline.errors import RefusedError

# Control and format characters (among them those that reverse the direction of writing),
# surrogates, private use, line and paragraph separators.
_UNSHOWABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_LONGEST = 1000


def check_name(name: str) -> None:
    """Raise RefusedError for a name that points outside the archive.

    Backslashes count as separators, as some packers write them.
    """
    parts = name.replace("\\", "/").split("/")
    if ".." in parts:
        raise RefusedError("its name leads out of the archive ('..')")
    if parts[0] == "" or re.match(r"[A-Za-z]:", name):
        raise RefusedError("its name is an absolute path")
    if "\0" in name:
        raise RefusedError("its name holds a null character")


def shown_name(name: str) -> str:
    """Return a name that is safe to show and to store: plain characters, "/" between parts."""
    plain = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in _UNSHOWABLE else character
        for character in name.replace("\\", "/")
    )
    parts = [part for part in plain.split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[-_LONGEST:] or "(no name)"
