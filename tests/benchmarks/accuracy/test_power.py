from math import comb

import pytest

from benchmarks.accuracy.power import OPEN, World, main, share_of_yes

STATED = 0.05
# World, test sets, trials.
CASES = [
    (World(40, 0.9, correlation=0.7), 1, 500),
    (World(40, 0.9, correlation=0.7, most_images=3), 2, 150),
    (World(200, 0.95, correlation=0.9, most_images=3), 1, 100),
    (World(200, 0.95, correlation=0.9), 2, 60),
]


def at_most(found: int, *, trials: int, rate: float) -> float:
    """Return the binomial chance of so many or fewer."""
    return sum(comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(found + 1))


def test_false_promotions_are_rarer_than_stated() -> None:
    """By simulation, with margins so wide that only the proof of being better is required; were the
    rate as high as stated, one seed in a hundred would give so few. docs/power.md has more.
    """
    trials = [count for _, _, count in CASES]
    shares = [
        share_of_yes(world, gate=OPEN, trials=count, sets=sets) for world, sets, count in CASES
    ]
    found = round(sum(share * count for share, count in zip(shares, trials, strict=True)))
    assert found > 0  # the simulation does promote
    assert at_most(found, trials=sum(trials), rate=STATED) < 0.01, shares


def test_table_has_the_given_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--auroc", "0.97", "--correlation", "0.9", "--patients", "60", "30"]
    main([*arguments, "--trials", "1", "--skip-equal"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == [
        "Production's AUROC 0.97, correlation 0.9:",
        "",
        "| true gain | 30 | 60 | for 80 % |",
    ]
    gains = [line.split(" | ")[0] for line in lines[5:]]
    assert gains == ["| 0", "| 0.005", "| 0.01", "| 0.02"], "0.05 more would be beyond 1"
