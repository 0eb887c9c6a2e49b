"""Looks for words in bytes, however they were written down."""

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus


def spellings(word: str) -> set[bytes]:
    """As text, in a URL, in JSON, in base64 at any place."""
    plain = {word.encode(), word.encode("utf-16-le"), word.encode("utf-16-be")}
    plain |= {word.encode("latin-1", "ignore"), json.dumps(word)[1:-1].encode()}
    plain |= {quote(word).encode(), quote_plus(word).encode(), quote(quote(word)).encode()}
    return plain | {_in_base64(word.encode(), offset) for offset in range(3)}


def _in_base64(content: bytes, offset: int) -> bytes:
    """What stays the same of it, whatever stands before and behind."""
    packed = base64.b64encode(bytes(offset) + content)
    return packed[4 if offset else 0 : len(packed) // 4 * 4 - 4]


def found_in(content: bytes, words: Iterable[str]) -> list[str]:
    return [word for word in words if any(one in content for one in spellings(word))]
