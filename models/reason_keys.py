"""Reasons as a handful of keys, for figures. The sentences quote sizes and tags; keys never do."""

# The first whose words are found in the reason is its key.
WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("stopped-worker", ("stopped its worker",)),
    ("bytes-missing", ("no longer in the file store",)),
    ("decoder-timeout", ("decoding took longer",)),
    ("decoder-crash", ("the decoder crashed",)),
    ("unexpected", ("unexpected error",)),
    ("not-an-image", ("neither DICOM", "is no DICOM file", "the file is empty")),
    ("not-frontal-chest", ("not a chest radiograph", "frontal views only", "not a radiograph")),
    ("archive", ("archive",)),
    ("too-large", ("too large", "larger than", "too much memory", "frames, received")),
    ("too-small", ("too small",)),
    ("unsupported", ("not supported", "is unknown", "private or unknown", "cannot be decoded as")),
    ("damaged", ("damaged", "cut short", "cannot be read", "do not begin with", "is missing")),
)
OTHER = "other"
KEYS = (*(key for key, _ in WORDS), OTHER)


def reason_key(reason: str | None) -> str:
    for key, words in WORDS:
        if any(word in (reason or "") for word in words):
            return key
    return OTHER
