"""Text for pages, terminals and logs: counts, percentages, and text written by others."""

import unicodedata


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


def readable(text: str) -> str:
    """Return the text in one line, with each character that is not printable as U+FFFD."""
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_unsafe(char) else char for char in text)


def _is_unsafe(char: str) -> bool:
    """Control, format (some reverse the direction of writing) and private characters, line
    separators, and surrogates, which stand for bytes that are not UTF-8.
    """
    category = unicodedata.category(char)
    return category.startswith("C") or category in ("Zl", "Zp")
