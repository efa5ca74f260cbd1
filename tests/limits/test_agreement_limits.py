"""What the intervals of the reliability report promise, by simulation. Tolerances are three standard errors of the simulation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from contagium.envs.rng import Streams
from contagium.sim.observer.agreement import effective_number, icc, icc_interval, krippendorff_alpha, measure, slope, spearman
from contagium.sim.observer.reliability import smallest_seen

REPEATS, AGENTS, MESSAGES, ALIKE = 150, 12, 12, 0.3
AGENT = np.repeat(np.arange(AGENTS), MESSAGES)
TOLERANCE = 3 * np.sqrt(0.95 * 0.05 / REPEATS)


def two_raters(draw: np.random.Generator, rho: float) -> np.ndarray:
    """Ratings (n, 2) that correlate by rho, and by ALIKE within an agent. Mean 0, variance 1."""
    spread = [[1, rho], [rho, 1]]
    whose = draw.multivariate_normal([0, 0], spread, AGENTS)
    own = draw.multivariate_normal([0, 0], spread, AGENTS * MESSAGES)
    return np.sqrt(ALIKE) * whose[AGENT] + np.sqrt(1 - ALIKE) * own


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("spearman", lambda rho: 6 / np.pi * np.arcsin(rho / 2)),
        ("alpha", lambda rho: rho),
        ("icc", lambda rho: rho),
    ],
)
def test_clustered_intervals_hold_the_truth(name: str, truth: Callable[[float], float]) -> None:
    """In 95% of samples of 12 agents with 12 messages each, at a true correlation of 0.5 (Spearman's by Pearson 1907)."""
    held = 0
    for repeat in range(REPEATS):
        x = two_raters(Streams(repeat).generator("raters"), 0.5)
        of = {
            "spearman": partial(spearman, x[:, 0], x[:, 1]),
            "alpha": partial(krippendorff_alpha, x, "interval"),
            "icc": partial(icc, x, "2,1"),
        }
        found = measure(of[name], AGENT, Streams(repeat), name)
        held += found.low <= truth(0.5) <= found.high
    assert abs(held / REPEATS - 0.95) < TOLERANCE


def test_f_intervals_of_the_icc_hold_the_truth() -> None:
    """ICC(2,1) of 20 units and 4 judges, with variances 1 of units, 0.2 of judges and 0.5 of the rest: 1 / 1.7."""
    held = 0
    for repeat in range(REPEATS):
        draw = Streams(repeat).generator("icc")
        unit, judge, rest = draw.normal(size=(20, 1)), draw.normal(0, 0.2**0.5, 4), draw.normal(0, 0.5**0.5, (20, 4))
        found = icc_interval(unit + judge + rest, "2,1")
        held += found.low <= 1 / 1.7 <= found.high
    assert abs(held / REPEATS - 0.95) < TOLERANCE


def test_drift_is_seen_as_often_as_promised_and_not_where_there_is_none() -> None:
    """At a slope of 2.8 standard errors in four of five runs, at 0 in one of twenty."""
    step = np.tile(np.arange(MESSAGES), AGENTS).astype(float)
    least, seen, false = [], 0, 0
    for repeat in range(REPEATS):
        draw = Streams(repeat).generator("drift")
        noise = draw.normal(size=AGENTS)[AGENT] + draw.normal(size=AGENTS * MESSAGES)
        # The standard error is 1 / √(Σ (step − mean)²) = 1 / √(12 × 143).
        steady = measure(partial(slope, step, noise), AGENT, Streams(repeat), "steady")
        drifting = measure(partial(slope, step, noise + 2.8 / np.sqrt(12 * 143) * step), AGENT, Streams(repeat), "drifting")
        least.append(smallest_seen(steady))
        false += steady.low > 0 or steady.high < 0
        seen += drifting.low > 0
    assert false / REPEATS < 0.05 + TOLERANCE
    assert abs(seen / REPEATS - 0.8) < 3 * np.sqrt(0.8 * 0.2 / REPEATS)
    assert np.mean(least) == pytest.approx(2.8 / np.sqrt(12 * 143), rel=0.1)


def test_nine_judges_count_as_about_two() -> None:
    """Nine judges whose errors correlate by 0.386 are worth 9 / (1 + 8 × 0.386) = 2.2."""
    draw = Streams(5).generator("nine")
    errors = np.sqrt(0.386) * draw.normal(size=(1000, 1)) + np.sqrt(1 - 0.386) * draw.normal(size=(1000, 9))
    found = effective_number(errors, np.arange(1000) % 100, Streams(5))
    assert found.low < 2.2 < found.high
    assert found.high - found.low < 0.6
