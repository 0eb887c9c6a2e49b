"""What XMP in a PNG or JPEG says of the image's origin."""

import re
from typing import Final

NAMESPACE: Final = b"http://ns.adobe.com/xap/1.0/\0"  # of JPEG's APP1, XMP part 3, 1.1.3
SYNTHETIC: Final = "a synthetic image by Digital Source Type (XMP): it may show no patient"
# Terms of the IPTC's NewsCodes for what a program made, with or without training images.
_GENERATED: Final = re.compile(
    rb"cv\.iptc\.org/newscodes/digitalsourcetype/(?:algorithmicMedia|trainedAlgorithmicMedia)\b"
)


def synthetic_warnings(metadata: bytes) -> tuple[str, ...]:
    """metadata: XMP, perhaps among other metadata; it is never compressed (XMP part 3, 1.1.5)."""
    return (SYNTHETIC,) if _GENERATED.search(metadata) else ()
