"""The images of an epoch: stated share, independent of order."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.data.mixing import MAX_REPEATS, Mixture, mix


def mixture(*, site: int, base: int, share: float = 0.5, least: int = 0) -> Mixture:
    return mix(hashes(site + base), is_site(site, base), base_share=share, min_base=least)


def hashes(count: int) -> list[str]:
    return [hashlib.sha256(str(n).encode()).hexdigest() for n in range(count)]


def is_site(site: int, base: int) -> np.ndarray:
    return np.arange(site + base) < site


counts = st.integers(1, 300)
shares = st.floats(0.05, 0.95)


@given(counts, counts, shares, st.integers(0, 200))
def test_mix_has_all_site_images_and_no_base_image_twice(
    site: int, base: int, share: float, least: int
) -> None:
    found = mixture(site=site, base=base, share=share, least=least)
    times = np.bincount(found.indices, minlength=site + base)
    assert (times[:site] >= 1).all()
    assert np.ptp(times[:site]) <= 1, "none of them more often than another"
    assert times[:site].max() <= MAX_REPEATS
    assert (times[site:] <= 1).all()
    assert (found.site, found.base) == (site, int(times[site:].sum()))
    assert found.base >= min(least, base)


@given(counts, st.integers(1, 3000), shares, st.integers(0, 200))
def test_mix_keeps_the_share_where_possible(site: int, base: int, share: float, least: int) -> None:
    found = mixture(site=site, base=base, share=share, least=least)
    assert found.base_share == pytest.approx(found.base / len(found.indices))
    is_base_used_up = found.base == base
    is_site_repeated_enough = found.site_times == MAX_REPEATS
    if not is_base_used_up and not is_site_repeated_enough:
        # By less than one image of the base, or half a one of the site.
        assert abs(found.base - share * len(found.indices)) <= 1


@given(counts, counts, st.randoms())
def test_mix_does_not_depend_on_order(site: int, base: int, random: np.random.Generator) -> None:
    names, own = hashes(site + base), is_site(site, base)
    order = list(range(site + base))
    random.shuffle(order)
    shuffled = mix([names[n] for n in order], own[order], base_share=0.5, min_base=0)
    plain = mix(names, own, base_share=0.5, min_base=0)
    assert [names[n] for n in plain.indices] == [names[order[n]] for n in shuffled.indices]


def test_one_more_site_image_changes_few_base_images() -> None:
    """Only what the share adds, so that one night's network is comparable with the next one's."""
    before, after = (
        mixture(site=50, base=400),
        mix(["new", *hashes(450)], np.append(True, is_site(50, 400)), base_share=0.5, min_base=0),
    )
    assert set(before.indices[:50] + 1) <= set(after.indices)


def test_mix_of_only_site_or_only_base_images() -> None:
    for site, base in ((7, 0), (0, 7)):
        found = mixture(site=site, base=base, least=500)
        assert sorted(found.indices) == list(range(7))
        assert (found.site, found.base) == (site, base)


def test_mix_with_share_zero_has_no_base() -> None:
    found = mixture(site=5, base=50, share=0.0, least=500)
    assert (found.site, found.base, found.base_share) == (5, 0, 0.0)


def test_few_site_images_are_repeated() -> None:
    found = mixture(site=100, base=5000, least=500)
    assert found.as_json() == {
        "site_images": 100,
        "base_images": 500,
        "images_an_epoch": 1000,
        "site_times_an_epoch": 5.0,
        "base_share": 0.5,
    }
    assert mixture(site=20, base=5000, least=500).base_share == pytest.approx(500 / 700)
