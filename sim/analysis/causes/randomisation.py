"""Influence or selection, and what was random in the run: the likeness of those in touch, in time and beforehand; the seeding.

La Fond & Neville (2010) split what makes connected people ever more alike: influence, where they change and their ties stay,
and homophily, where they stay and their ties change. Each gain in likeness is held against gains with the same changes dealt at
random.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from contagium.sim.analysis.causes.evidence import Evidence, Floats, Ints
from contagium.sim.analysis.causes.permutation import FEW, Finding, finding, untold
from contagium.sim.analysis.spread.risk import NEVER

WORK = 100_000_000
"""Ties times steps times permutations worked on: of more, steps are left out evenly, and then permutations."""

FEWEST = 10
"""Agents with a value, under which likeness is not tested."""


def likeness(of_one: Floats, of_other: Floats) -> Floats:
    """Correlation over ties of the values at both ends, (E, R) each: shape (R,). NaN where either does not vary."""
    one, other = of_one - of_one.mean(axis=0), of_other - of_other.mean(axis=0)
    spread = np.sqrt((one**2).mean(axis=0) * (other**2).mean(axis=0))
    return np.divide((one * other).mean(axis=0), spread, out=np.full(spread.shape, np.nan), where=spread > 1e-12)


def influence(of: Evidence, permutations: int, rng: np.random.Generator) -> Finding:
    """Gain in likeness of those in touch from who became a case, summed over steps; null: as many of each stratum at risk in
    the step, drawn at random. Likeness is that of having been a case. Not safe from homophily, which steers who is a case next
    just as influence does where ties stay as they are.
    """
    name = "likeness gained by becoming a case (influence)"
    source, hearer = of.ties
    if not len(source):
        return untold(name, "nobody is tied to anybody")
    steps = np.unique(of.at[of.event])
    steps, permutations = bounded(steps, len(source), permutations)
    total, told, many = np.zeros(permutations + 1), 0, 0
    for step in steps:
        rows = np.flatnonzero(of.at == step)
        before = (of.onset < step).astype(np.float32)
        after = np.repeat(before[:, None], permutations + 1, axis=1)
        for stratum in np.unique(of.strata[rows[of.event[rows]]]):
            mine = rows[of.strata[rows] == stratum]
            new = of.agent[mine[of.event[mine]]]
            after[new, 0] = 1
            keys = rng.random((permutations, len(mine)), dtype=np.float32)
            drawn = of.agent[mine][np.argpartition(keys, len(new) - 1, axis=1)[:, : len(new)]]
            after[drawn, np.arange(1, permutations + 1)[:, None]] = 1
        gain = likeness(after[source], after[hearer]) - np.nan_to_num(likeness(before[source], before[hearer]))
        if not np.isnan(gain).any():
            total, told, many = total + gain, told + int(of.event[rows].sum()), many + 1
    if told < FEW or np.ptp(total) < 1e-9:
        return untold(name, f"{told} onsets that could make those in touch more or less alike: {FEW} are needed", told)
    mean = total / many
    words = f"correlation of those in touch changes by {mean[0]:+z.3f} a step on average, by chance {mean[1:].mean():+z.3f}"
    return finding(name, float(total[0]), total[1:], told, words)


def bounded(steps: Ints, ties: int, permutations: int) -> tuple[Ints, int]:
    """Of all steps and permutations what `WORK` allows, at least 99 permutations where there are as many."""
    most = max(1, WORK // max(1, ties))
    permutations = min(permutations, max(99, most // max(1, len(steps))))
    kept = np.linspace(0, len(steps) - 1, min(len(steps), max(1, most // permutations))).round().astype(int)
    return steps[kept] if len(steps) else steps, permutations


def selection(of: Evidence, permutations: int, rng: np.random.Generator) -> Finding:
    """Gain in likeness from who is heard next, from the first half of the run to the second; null: the new ties go to the same
    hearers from any of their sources. Agents are taken as they were in the middle of the run.
    """
    name = "likeness gained by changing ties (homophily)"
    if of.fixed:
        return untold(name, "the ties stood before the run: who hears whom could not follow from who was a case")
    middle = of.steps // 2
    early, late = (np.unique(pair) for pair in np.split(of.source * of.size + of.hearer, [np.searchsorted(of.step, middle)]))
    new = late[~np.isin(late, early)]
    state = (of.onset < middle).astype(np.float64)[:, None]
    if len(new) < FEWEST or np.ptp(state) == 0:
        return untold(name, f"{len(new)} ties are new in the second half of the run: {FEWEST} are needed", len(new))
    source, hearer = np.divmod(new, of.size)
    sources = np.column_stack([source, rng.permuted(np.repeat(source[:, None], permutations, axis=1), axis=0)])
    found = likeness(state[sources][:, :, 0], np.repeat(state[hearer], permutations + 1, axis=1))
    if np.isnan(found).any():
        return untold(name, "all new ties come from agents alike, or go to agents alike", len(new))
    return finding(name, found[0], found[1:], len(new), f"correlation {found[0]:+.2f}, {found[1:].mean():+.2f} by chance")


def alike_before(of: Evidence, permutations: int, rng: np.random.Generator) -> list[Finding]:
    """Were those in touch alike before they heard anything? For each trait the assortativity (Newman 2003).

    Null: the traits are dealt anew.
    """
    found = []
    for trait, value in of.traits.items():
        known = np.flatnonzero(~np.isnan(value))
        source, hearer = of.ties[:, np.isin(of.ties, known).all(axis=0)]
        name = f"alike beforehand: {trait}"
        if len(known) < FEWEST or not len(source) or np.ptp(value[known]) == 0:
            found.append(untold(name, f"{len(known)} agents in touch with a value that differs: {FEWEST} are needed", len(known)))
            continue
        _, rounds = bounded(np.zeros(1, dtype=np.int64), len(source), permutations)
        dealt = np.zeros((of.size, rounds + 1))
        dealt[known] = np.column_stack([value[known], rng.permuted(np.repeat(value[known, None], rounds, axis=1), axis=0)])
        r = likeness(dealt[source], dealt[hearer])
        r = np.nan_to_num(r)  # dealt so that all ties see one value: no likeness
        low, high = np.quantile(r[1:], [0.025, 0.975])
        found.append(finding(name, r[0], r[1:], len(known), f"correlation {r[0]:+.2f}; by chance {low:+.2f} to {high:+.2f}"))
    return found


def near_the_seeds(of: Evidence, permutations: int, rng: np.random.Generator) -> Finding:
    """Are agents near the index cases cases sooner? Where these were drawn at random nothing but contagion can make them so: no
    likeness, no shock.

    A random half of the agents that were not drawn is watched; the index cases are drawn anew from all others, which under the
    null changes nothing for those watched (Athey, Eckles & Imbens 2018). Statistic: covariance of how early they were cases
    with how many index cases they hear, themselves or through those they hear.
    """
    name = "near the index cases, sooner a case"
    seeds = np.flatnonzero(of.onset == -1)
    if of.drawn or not len(seeds):
        return untold(name, of.drawn or "there are no index cases")
    others = np.flatnonzero(of.eligible & (of.onset != -1))
    watched = rng.permutation(others)[: len(others) // 2]
    _, rounds = bounded(np.zeros(1, dtype=np.int64), max(of.ties.shape[1], of.size), permutations)
    drawn = np.zeros((of.size, rounds + 1), dtype=np.float32)
    drawn[seeds, 0] = 1
    pool = np.setdiff1d(np.flatnonzero(of.eligible), watched)
    picked = np.argpartition(rng.random((rounds, len(pool))), len(seeds) - 1, axis=1)[:, : len(seeds)]
    drawn[pool[picked], np.arange(1, rounds + 1)[:, None]] = 1
    reach = _reach(of, drawn)[watched]
    early = np.maximum(0, of.steps - of.onset[watched]).astype(float)
    cases = int((of.onset[watched] < NEVER).sum())
    if cases < FEW or np.ptp(early) == 0:
        return untold(name, f"{cases} cases among the {len(watched)} agents watched: {FEW} are needed", cases)
    score = (early - early.mean()) @ (reach - reach.mean(axis=0)) / len(watched)
    if np.ptp(score) < 1e-9:
        return untold(name, "whoever is drawn, all are equally near", cases)
    spread = float(score[1:].std())
    words = f"{(score[0] - score[1:].mean()) / spread:+.1f} standard deviations of a random draw" if spread else ""
    return finding(name, float(score[0]), score[1:], cases, words)


def _reach(of: Evidence, drawn: NDArray[np.float32]) -> Floats:
    """How many of the drawn (n, R) each agent hears, those heard at second hand by the share of its sources that hear them."""
    source, hearer = of.ties
    hears = csr_matrix((np.ones(len(source), dtype=np.float32), (hearer, source)), shape=(of.size, of.size))
    first = hears @ drawn
    count = np.maximum(1, np.asarray(hears.sum(axis=1)))
    return np.asarray(np.log1p(first + hears @ first / count), dtype=np.float64)
