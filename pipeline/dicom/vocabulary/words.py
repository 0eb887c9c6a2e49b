"""Text of a file taken apart into words that can be looked up."""

import re
import unicodedata
from collections.abc import Collection
from typing import Final

_MAX_CHARACTERS: Final = 64  # VR LO (PS3.5 6.2); code strings have 16
_MIN_COMPOUND: Final = 5
_MIN_PART: Final = 3
_MIN_SPELLED: Final = 5
_SHORT_PARTS: Final = frozenset({"PA", "AP", "LL", "RL"})
# Letters that Unicode does not decompose into a plain one and a mark.
_LETTERS: Final = str.maketrans({"Ł": "L", "Ø": "O", "Æ": "AE", "Œ": "OE", "Đ": "D"})


def terms(spaced: str) -> frozenset[str]:
    return frozenset(spaced.split())


def spellings(spaced: str) -> frozenset[str]:
    """Return the words, also with a plain vowel where marks are spelled out: HUEFTE, HUFTE."""
    plain = (
        re.sub(r"(?<=[A-Z])(AE|OE|UE|AA)", lambda pair: pair[0][0], word)
        for word in terms(spaced)
        if len(word) >= _MIN_SPELLED
    )
    return terms(spaced).union(plain)


def lookup(table: str) -> dict[str, str]:
    """Return the term of each word, in all `spellings`.

    Lines are `TERM: word word`; indented ones continue.
    """
    found: dict[str, str] = {}
    term = ""
    for line in table.strip().splitlines():
        if not line.startswith(" "):
            term, _, line = line.partition(":")
        found |= dict.fromkeys(spellings(line), term)
    return found


def words(text: str) -> list[str]:
    """Return the words in capitals, without diacritics: `p.a. (göğüs)` is PA, GOGUS."""
    capitals = text[:_MAX_CHARACTERS].upper().translate(_LETTERS)
    plain = "".join(
        letter
        for letter in unicodedata.normalize("NFKD", capitals)
        if not unicodedata.combining(letter)
    )
    joined = re.sub(r"\b([AP])[^A-Z]{1,2}([AP])\b", r"\1\2", plain.replace(".", ""))
    return re.findall(r"[A-Z]+", joined)


def known_words(text: str, vocabulary: Collection[str]) -> list[str]:
    """Return the words of a text; compounds of known words are taken apart.

    CHESTPAERECT is CHEST, PA, ERECT. Words that are not known are returned as they are.
    """
    return [part for word in words(text) for part in _parts(word, vocabulary)]


def _parts(word: str, vocabulary: Collection[str]) -> list[str]:
    if word in vocabulary or len(word) < _MIN_COMPOUND:
        return [word]
    for plain, side in ((word[1:], word[0]), (word[:-1], word[-1])):  # LHAND, HANDL
        if side in "LR" and plain in vocabulary:
            return [plain]
    # Of each length, the fewest known words that make up the beginning of the word.
    best: dict[int, list[str]] = {0: []}
    for end in range(1, len(word) + 1):
        found = [
            [*best[start], word[start:end]]
            for start in range(end)
            if start in best and _is_part(word[start:end], vocabulary)
        ]
        if found:
            best[end] = min(found, key=len)
    return best.get(len(word), [word])


def _is_part(word: str, vocabulary: Collection[str]) -> bool:
    return word in vocabulary and (len(word) >= _MIN_PART or word in _SHORT_PARTS)
