"""Names of files, and whatever others have written, as a terminal may show them."""

import unicodedata


def readable(text: str) -> str:
    """In one line, no character of it a command to the terminal, no byte that is not UTF-8."""
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if _commands(char) else char for char in text)


def _commands(char: str) -> bool:
    """Control and format characters (some reverse the direction of writing), line separators.

    Surrogates, too: they stand for bytes that are not UTF-8.
    """
    category = unicodedata.category(char)
    return category.startswith("C") or category in ("Zl", "Zp")
