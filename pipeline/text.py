"""Names of files, and whatever others have written, as pages and terminals may show them."""

import unicodedata


def readable(text: str) -> str:
    """Return it in one line: no character is a command to a terminal, or no UTF-8.

    Each such character has become U+FFFD.
    """
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if _commands(char) else char for char in text)


def _commands(char: str) -> bool:
    """Control and format characters (some reverse the direction of writing), line separators,
    private use. Surrogates, too: they stand for bytes that are not UTF-8.
    """
    category = unicodedata.category(char)
    return category.startswith("C") or category in ("Zl", "Zp")
