"""Which images an epoch uses: a site's own, mixed with those of an imported base set.

A network trained on new images alone forgets the old ones (McCloskey 1989); rehearsing a stated
share of them is the simplest remedy.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_BASE = 500  # images of the base, where it has as many: fewer would not represent it
MAX_REPEATS = 10  # of a site's image in one epoch: more often would overfit


@dataclass(frozen=True)
class Mixture:
    """The images of an epoch.

    indices: intp (m,), of the training images, some of them several times. site, base: how many
    different images of each. site_times: how often an epoch uses a site's image, on average.
    base_share: the base's share of an epoch.
    """

    indices: NDArray[np.intp]
    site: int
    base: int
    site_times: float
    base_share: float

    def as_json(self) -> dict[str, Any]:
        return {
            "site_images": self.site,
            "base_images": self.base,
            "images_an_epoch": len(self.indices),
            "site_times_an_epoch": round(self.site_times, 3),
            "base_share": round(self.base_share, 4),
        }


def mix(
    sha256s: Sequence[str],
    is_site: NDArray[np.bool_],
    *,
    base_share: float,
    min_base: int = MIN_BASE,
) -> Mixture:
    """All of the site's images, and as many of the base's as make up `base_share`, in [0, 1).

    sha256s, is_site: n training images. The base gives at least `min_base` images where it has
    them, and the site's are then repeated to keep the share, MAX_REPEATS times at most. A base
    that is too small makes up less. Which ones depends on the hashes alone, not on their order.
    Where one of the two is empty, all of the other is taken, once.
    """
    # By a hash of the hash, so that it is independent of other orders by SHA-256.
    digests = [hashlib.sha256(f"mixture {sha256}".encode()).digest() for sha256 in sha256s]
    order = np.array(sorted(range(len(digests)), key=digests.__getitem__), np.intp)
    site, base = order[is_site[order]], order[~is_site[order]]
    if len(site) and len(base):
        wanted = math.ceil(len(site) * base_share / (1 - base_share) - 1e-9)
        base = base[: max(wanted, min_base) if base_share else 0]
    repeated = np.resize(site, _site_count(len(site), len(base), share=base_share))
    indices = np.concatenate([base, repeated])
    return Mixture(
        indices=indices,
        site=len(site),
        base=len(base),
        site_times=len(repeated) / max(len(site), 1),
        base_share=len(base) / max(len(indices), 1),
    )


def _site_count(site: int, base: int, *, share: float) -> int:
    if not site or not base:
        return site
    wanted = round(base * (1 - share) / share)
    return min(max(wanted, site), MAX_REPEATS * site)
