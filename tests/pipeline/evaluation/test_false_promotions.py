"""How often chance gets past the gate where candidate and production are equally good.

By simulation with a fixed seed, and with margins so wide that only the proof of being better
stands in the way: with the real ones, a yes is rarer still. docs/power.md has larger numbers.
"""

from math import comb

from benchmarks.power import OPEN, World, share_of_yes

STATED = 0.05
# World, test sets, trials.
CASES = [
    (World(40, 0.9, correlation=0.7), 1, 500),
    (World(40, 0.9, correlation=0.7, most_images=3), 2, 150),
    (World(200, 0.95, correlation=0.9, most_images=3), 1, 100),
    (World(200, 0.95, correlation=0.9), 2, 60),
]


def at_most(found: int, *, trials: int, rate: float) -> float:
    """Chance of so many or fewer (binomial)."""
    return sum(comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(found + 1))


def test_chance_promotes_less_often_than_stated() -> None:
    """So rarely that, were the rate as high as stated, one seed in a hundred gave so little."""
    trials = [count for _, _, count in CASES]
    shares = [
        share_of_yes(world, gate=OPEN, trials=count, sets=sets) for world, sets, count in CASES
    ]
    found = round(sum(share * count for share, count in zip(shares, trials, strict=True)))
    assert found > 0  # chance does get through: the simulation is no dead end
    assert at_most(found, trials=sum(trials), rate=STATED) < 0.01, shares
