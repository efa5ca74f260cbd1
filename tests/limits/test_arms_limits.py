"""Comparing arms whose truth is known: how often intervals hold it, tests raise false alarms, and advised sizes see a halving.

benchmarks/arms.py does the same for more kinds of data and many more sets of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import kstest, ttest_ind

from contagium.envs.rng import Streams
from contagium.sim.analysis import shares
from contagium.sim.analysis.arms import advice, chance, intervals
from contagium.sim.analysis.arms.dose import dose_response
from contagium.sim.analysis.arms.intervals import Floats
from contagium.sim.analysis.estimate import Estimate

RNG = Streams(11)
SETS = 250
WITHIN = 3 * (0.05 * 0.95 / SETS) ** 0.5
"""Three standard errors of a share that is 0.95 in truth."""


def attack_rates(rng: np.random.Generator, n: int, share: float, size: float) -> Floats:
    """Two humps: a `share` of outbreaks reaches `size`, the others die out."""
    return np.where(rng.random(n) < share, np.clip(rng.normal(size, 0.05, n), 0, 1), rng.beta(1, 40, n))


def holds(of: Estimate, truth: float) -> bool:
    assert of.low is not None
    assert of.high is not None
    return of.low <= truth <= of.high


@pytest.mark.parametrize("n", [8, 12, 20])
def test_intervals_of_differences_hold_the_truth_for_two_humps(n: int) -> None:
    rng, truth = RNG.generator("humps", n), 0.8 * 0.6 - 0.5 * 0.5 + (0.2 - 0.5) / 41
    pairs = [(attack_rates(rng, n, 0.8, 0.6), attack_rates(rng, n, 0.5, 0.5)) for _ in range(SETS)]
    held = np.mean([holds(intervals.difference(x, y, rng), truth) for x, y in pairs])
    assert held == pytest.approx(0.95, abs=WITHIN)


def test_intervals_of_pairs_and_of_shares_hold_the_truth() -> None:
    rng = RNG.generator("pairs")
    held, of_shares = [], []
    for _ in range(SETS):
        luck = rng.gamma(2, 1, 12)
        held.append(holds(intervals.paired_difference(luck + rng.exponential(1, 12), luck + rng.exponential(0.5, 12), rng), 0.5))
        happened = (rng.random((2, 20)) < [[0.7], [0.3]]).astype(float)
        of_shares.append(holds(shares.proportion_difference(*happened), 0.4))
    assert np.mean(held) == pytest.approx(0.95, abs=WITHIN)
    assert np.mean(of_shares) == pytest.approx(0.95, abs=WITHIN)


def test_permutation_p_is_uniform_where_nothing_differs() -> None:
    """Of 924 arrangements, so that p is all but continuous."""
    rng = RNG.generator("null")
    p = np.array([chance.unpaired(rng.exponential(size=6), rng.exponential(size=6), rng).p for _ in range(SETS)])
    assert kstest(p, "uniform").pvalue > 0.01
    assert (p <= 0.05).mean() <= 0.05 + WITHIN
    humps = [chance.unpaired(attack_rates(rng, 6, 0.7, 0.6), attack_rates(rng, 6, 0.7, 0.6), rng).p for _ in range(SETS)]
    assert np.mean(np.array(humps) <= 0.05) <= 0.05 + WITHIN


@pytest.mark.parametrize(
    ("law", "mean", "sd"),
    [
        (lambda rng, mean, shape: rng.normal(mean, 1, shape), 2.0, 1.0),
        (lambda rng, mean, shape: rng.negative_binomial(3, 3 / (3 + 10 * mean), shape) / 10, 1.5, (0.15 + 1.5**2 / 3) ** 0.5),
    ],
    ids=["normal", "secondary cases"],
)
def test_the_advised_number_of_runs_sees_a_halving(law: Callable[..., Floats], mean: float, sd: float) -> None:
    """Four times in five, or more often where what is halved varies less, as secondary cases do."""
    rng, n = RNG.generator("power"), advice.replicates(mean / 2 / sd, paired=False)
    assert n is not None
    p = ttest_ind(law(rng, mean, (2000, n)), law(rng, mean / 2, (2000, n)), axis=1, equal_var=False).pvalue
    assert 0.8 - 3 * (0.16 / 2000) ** 0.5 <= (p <= 0.05).mean() <= 0.98


def test_the_advised_number_of_runs_sees_an_event_halved() -> None:
    rng, found = RNG.generator("events"), advice.halving_share("y", 5_000, 10_000)
    assert found.n is not None
    drawn = (rng.random((250, 2, found.n)) < [[0.5], [0.25]]).astype(float)
    assert np.mean([chance.events(x, y).p <= 0.05 for x, y in drawn]) == pytest.approx(0.8, abs=3 * (0.16 / 250) ** 0.5)


def test_half_doses_are_held_by_their_intervals() -> None:
    rng, doses = RNG.generator("doses"), np.repeat(np.arange(6.0), 6)
    curve = doses**3 / (8 + doses**3)
    found = [dose_response("y", "x", "", doses, curve + rng.normal(0, 0.1, 36), event=False, rng=rng) for _ in range(25)]
    told = [one.half for one in found if one is not None and one.half.value is not None]
    assert len(told) > 20
    assert sum(holds(one, 2.0) for one in told) >= len(told) - 4
