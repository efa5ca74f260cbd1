"""Do the onsets of those who hear each other lie closer in time than those of others in their circle?"""

from __future__ import annotations

import numpy as np

from contagium.sim.analysis.causes.evidence import MOST_TIES, Bools, Evidence, Floats, Ints, codes
from contagium.sim.analysis.causes.permutation import CELLS, Finding, finding, untold
from contagium.sim.analysis.spread.risk import NEVER

FEW_CASES = 8
"""Cases whose onsets could be exchanged, under which nothing is tested."""


def closer_in_time(of: Evidence, permutations: int, rng: np.random.Generator) -> Finding:
    """Statistic: over ties whose hearer became a case after its source, 1 / (steps between them). Null: the cases of a circle
    exchange their onsets, those with at least half of their ties to cases among themselves; index cases keep theirs.

    Which agents ever were cases is taken as given, so that a lasting likeness of neighbours, which makes them cases, does not
    count, nor does it where it makes them cases sooner, for these are surrounded by cases and exchange with each other; nor
    does a shock that a whole circle shares. Onsets in the same step count for nothing: what is heard in a step is acted on in
    the next. Source: Knox 1964 and Mantel 1967 (closeness in space and time), Anagnostopoulos et al. 2008 (the shuffle test on
    a network), here among cases alike in circle and surroundings.
    """
    name = "onsets of those in touch closer in time"
    if of.ties.shape[1] > MOST_TIES:
        return untold(name, f"{of.ties.shape[1]:,} ties: circles are sought among at most {MOST_TIES:,}")
    source, hearer = of.ties
    moves = (of.onset >= 0) & (of.onset < NEVER)
    both = moves[hearer] & (of.onset[source] < NEVER)
    source, hearer = source[both], hearer[both]
    cases = np.flatnonzero(moves)
    circle = codes(of.circle, _amid_cases(of))[cases]
    count = np.bincount(circle)
    able = int(count[count > 1].sum())
    if able < FEW_CASES:
        return untold(name, f"{able} cases that share a circle with another one: {FEW_CASES} are needed", able)
    values = np.concatenate(
        [[_closeness(of.onset[None], source, hearer)[0]], _null(of.onset, cases, circle, source, hearer, permutations, rng)]
    )
    observed, null = float(values[0]), values[1:]
    if np.ptp(values) < 1e-9:
        return untold(name, "whichever case of a circle has which onset, those in touch lie equally close", able)
    return finding(name, observed, null, able, f"{observed / null.mean():.2f} times as close as by chance")


def _amid_cases(of: Evidence) -> Bools:
    """Whether at least half of the ties of each agent (n,) are with agents that ever were cases."""
    ends, others = of.ties.ravel(), of.ties[::-1].ravel()
    ties, to_cases = np.bincount(ends, minlength=of.size), np.bincount(ends, of.onset[others] < NEVER, minlength=of.size)
    return 2 * to_cases >= np.maximum(ties, 1)


def _null(
    onset: Ints, cases: Ints, circle: Ints, source: Ints, hearer: Ints, permutations: int, rng: np.random.Generator
) -> Floats:
    order = np.argsort(circle, kind="stable")
    at_once = max(1, CELLS // max(1, len(source), len(onset)))
    found = []
    for start in range(0, permutations, at_once):
        rounds = min(at_once, permutations - start)
        drawn = np.argsort(circle + rng.random((rounds, len(cases))), axis=1)
        moved = np.repeat(onset[None], rounds, axis=0)
        moved[:, cases[order]] = onset[cases][drawn]
        found.append(_closeness(moved, source, hearer))
    return np.concatenate(found)


def _closeness(onset: Ints, source: Ints, hearer: Ints) -> Floats:
    """The statistic (R,) of onsets (R, n)."""
    gap = onset[:, hearer] - onset[:, source]
    return np.where(gap > 0, 1 / np.maximum(gap, 1), 0.0).sum(axis=1)
