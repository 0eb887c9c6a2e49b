"""Text for pages, terminals and logs: counts, percentages, and text written by others."""

import os
import re
import unicodedata
from collections.abc import Iterable
from itertools import islice

LISTED = 5


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Return `1 image` or `1,200 images`. nouns: the plural where it is not `noun` with an s."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def percent(share: float | None) -> str:
    """Return a share in [0, 1] as `12 %`, below a tenth as `1.2 %`, None as a dash."""
    if share is None:
        return "–"
    return f"{100 * share:.0f} %" if share >= 0.1 or not share else f"{100 * share:.1f} %"


def probability_percent(probability: float | None) -> str:
    """Return a probability as `12 %`, but never 0 % or 100 %: no network is that certain."""
    if probability is None:
        return "–"
    if probability < 0.01:
        return "< 1 %"
    return "> 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def listed(names: Iterable[str], *, most: int = LISTED) -> str:
    """Return the first names, separated by commas, and `...` where there are more."""
    remaining = iter(names)
    shown = list(islice(remaining, most))
    return ", ".join([*shown, "..."] if next(remaining, None) is not None else shown)


def bytes_words(count: int) -> str:
    """Return a limit as `64 KiB` or `16 MiB`, rounded down."""
    return f"{count // 2**20} MiB" if count >= 2**20 else f"{count // 2**10} KiB"


def readable(text: str) -> str:
    """Return the text in one line, with each character that is not printable as U+FFFD."""
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_unsafe(char) else char for char in text)


def unique_name(name: str) -> str:
    """Return a file name in printable characters, so that different names stay different.

    Each byte of a character that is not printable, or that is not UTF-8 at all, becomes U+FFFD and
    two hexadecimal digits. The result of an earlier call stays as it is.
    """
    if name.isprintable():
        return name
    return "".join(_escaped(char) if _is_unsafe(char) else char for char in name)


def raw_name(name: str) -> str:
    """Return the file name, as the operating system has it, that `unique_name` gave `name` for."""
    raw = re.sub("\N{REPLACEMENT CHARACTER}([0-9A-F]{2})".encode(), _byte, os.fsencode(name))
    return os.fsdecode(raw)


def _byte(escaped: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escaped[1].decode())


def _escaped(char: str) -> str:
    encoded = char.encode(
        "utf-8", "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass"
    )
    return "".join(f"\N{REPLACEMENT CHARACTER}{byte:02X}" for byte in encoded)


def _is_unsafe(char: str) -> bool:
    """Control, format (some reverse the direction of writing) and private characters, line
    separators, and surrogates, which stand for bytes that are not UTF-8.
    """
    category = unicodedata.category(char)
    return category.startswith("C") or category in ("Zl", "Zp")


def read_as(population: str) -> str:
    """Return a clause such as "read as an adult's"."""
    whose = {"children": "a child's", "adults": "an adult's"}
    return f"read as {whose.get(population, population)}"
