"""Names of uploaded files: kept readable, made harmless."""

import unicodedata

MAX_LENGTH = 1024
MAX_PART_LENGTH = 255
UNNAMED = "unnamed"


def clean_file_name(raw: str) -> str:
    """A relative path with "/" between its parts: no root, drive, "..", control characters."""
    parts = (_clean_part(part) for part in raw.replace("\\", "/").split("/"))
    kept = [part for part in parts if part and part not in (".", "..")]
    if kept and len(kept[0]) == 2 and kept[0][1] == ":":
        kept = kept[1:]
    # The end says most: the file's own name and the folder it lies in.
    return "/".join(kept)[-MAX_LENGTH:].lstrip("/") or UNNAMED


def _clean_part(part: str) -> str:
    # "C*": control, format (text direction can be turned by those), surrogate, unassigned.
    visible = (char for char in part if unicodedata.category(char)[0] != "C")
    return unicodedata.normalize("NFC", "".join(visible)).strip()[-MAX_PART_LENGTH:]
