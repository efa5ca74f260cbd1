"""Does one agent's affect tell what another will show, beyond what that one shows anyway? Pair by pair, against surrogates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contagium.sim.analysis.emotion.panel import Floats, Ints, Panel, distinct

FEWEST_STEPS = 12
"""Turns of a pair that can be used; fewer make a correlation given the past worthless."""

FEWEST_PAIRS = 8
MOST_PAIRS = 1_000
SEARCHED = 20_000
SURROGATES = 199
WINDOW = 8
"""Steps of one window of the cross-correlation."""

LEVEL = 0.05
METHOD = "Gaussian transfer entropy"


@dataclass(frozen=True)
class Flow:
    """A mean over pairs, its mean over surrogates, and p: share of surrogates with as high a mean. None: see Transfer.reason."""

    value: float | None
    chance: float | None
    p: float | None


@dataclass(frozen=True)
class Transfer:
    """What flows from who is heard to who hears, on one measure.

    entropy: Gaussian transfer entropy in nats. correlation: of the source's affect with the hearer's one step later, in windows
    of `WINDOW` steps. pairs: looked at, out of `of` with enough turns. found: pairs (source, hearer; ids of agents) whose
    transfer entropy stands out at a false discovery rate of 5%, most of it first. reason: why nothing can be said.
    """

    axis: str
    entropy: Flow
    correlation: Flow
    pairs: int
    of: int
    found: tuple[tuple[int, int], ...]
    reason: str | None = None


def transfer(panels: Sequence[Panel]) -> Transfer:
    """Panels of one measure, steps' means taken off. In a surrogate all agents have changed places in the network, each with its
    course of affect and all the shocks it shares with others (Krackhardt 1988); where most hear most, the courses of sources are
    turned round in time instead, each by a quarter at least. Of more than `MOST_PAIRS` pairs, a random sample.

    For affect that is normal and linear, transfer entropy is −½ ln(1 − r²), with r the correlation of source and hearer's next
    given the hearer's last (Barnett, Barrett & Seth 2009). The windowed correlation (Boker et al. 2002) is one of what is new in
    each step, for carried-on affect of any two may agree by chance, or as both were struck at once (Haugh 1976). Dyads: p against
    all surrogates that are none of the pairs, each once, false discovery rate by Benjamini & Hochberg 1995.
    """
    streams = panels[0].streams
    chosen = [(panel, *_usable(panel, streams.generator("usable", k))) for k, panel in enumerate(panels)]
    of = sum(len(hearer) for _, hearer, _ in chosen)
    axis, nothing = panels[0].axis, Flow(None, None, None)
    if of < FEWEST_PAIRS:
        reason = f"too few to say: {of} pairs with {FEWEST_STEPS} turns in which both spoke, {FEWEST_PAIRS} are needed"
        return Transfer(axis, nothing, nothing, of, of, (), reason)
    kept = streams.generator("pairs").permutation(of) < MOST_PAIRS
    real: list[Floats] = []
    fake: list[Floats] = []
    pools: list[Floats] = []
    names, start = [], 0
    for k, (panel, hearer, source) in enumerate(chosen):
        mine = kept[start : start + len(hearer)]
        start += len(hearer)
        if mine.any():
            found = _statistics(panel, hearer[mine], source[mine], streams.generator("surrogates", k))
            for parts, part in zip((real, fake, pools), found, strict=True):
                parts.append(part)
            names += list(zip(panel.agents[source[mine]].tolist(), panel.agents[hearer[mine]].tolist(), strict=True))
    observed, chance = np.concatenate(real, axis=1), np.concatenate(fake, axis=2)
    if not np.isfinite(observed[0]).any():
        return Transfer(axis, nothing, nothing, of, of, (), "affect is constant: nothing flows that could be seen")
    pool = np.sort(np.concatenate(pools))
    pool = pool[np.isfinite(pool)]
    single = np.where(np.isfinite(observed[0]), observed[0], -np.inf)
    p = (1 + len(pool) - np.searchsorted(pool, single - 1e-12)) / (1 + len(pool))
    # Benjamini and Hochberg's step-up rule; the library that has it takes a second to import.
    ranked = np.sort(p)
    passed = ranked[ranked <= LEVEL * np.arange(1, len(p) + 1) / len(p)]
    below = np.flatnonzero(p <= passed[-1]) if len(passed) else np.empty(0, dtype=np.int64)
    standing = tuple(names[d] for d in below[np.argsort(-single[below], kind="stable")])
    entropy, correlation = (_flow(observed[k], chance[k]) for k in range(2))
    return Transfer(axis, entropy, correlation, observed.shape[1], of, standing)


def _usable(panel: Panel, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Hearers and sources of the pairs with enough turns, of at most `SEARCHED` drawn by chance."""
    hearer, source = panel.pairs()
    if len(hearer) > SEARCHED:
        drawn = np.sort(rng.choice(len(hearer), SEARCHED, replace=False))
        hearer, source = hearer[drawn], source[drawn]
    spoke = np.isfinite(panel.own)
    able = spoke[:, 1:] & spoke[:, :-1]
    enough = (able[hearer] & spoke[source, :-1]).sum(axis=1) >= FEWEST_STEPS
    return hearer[enough], source[enough]


def _statistics(panel: Panel, hearer: Ints, source: Ints, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Entropy and windowed correlation of pairs, (2, d), and of their surrogates, (2, SURROGATES, d); entropy of surrogates that
    are no pairs, each pair once."""
    size, steps = panel.shape
    with np.errstate(invalid="ignore"):
        x = panel.own - np.nansum(panel.own, axis=0) / np.isfinite(panel.own).sum(axis=0)
    x, new = _centred(x)
    heard = distinct(panel.hearer * size + panel.source)
    fake, codes = np.empty((2, SURROGATES, len(hearer))), np.empty((SURROGATES, len(hearer)), dtype=np.int64)
    real = _both((x[hearer], x[source]), (new[hearer], new[source]))
    crowded = 2 * len(heard) > size * (size - 1)
    for k in range(SURROGATES):
        if crowded:
            shift = rng.integers(steps // 4, steps - steps // 4 + 1, size=size)
            turned = np.arange(size)[:, None], (np.arange(steps) + shift[:, None]) % steps
            fake[:, k] = _both((x[hearer], x[turned][source]), (new[hearer], new[turned][source]))
            codes[k] = (shift[source] * size + hearer) * size + source
        else:
            a, b = rng.permutation(size)[np.stack([hearer, source])]
            fake[:, k], codes[k] = _both((x[a], x[b]), (new[a], new[b])), a * size + b
    code, first = np.unique(codes, return_index=True)
    return real, fake, fake[0].ravel()[first if crowded else first[~np.isin(code, heard)]]


def _centred(x: Floats) -> tuple[Floats, Floats]:
    """Courses (n, T) less their means, and what is new in each step: less the share φ of the step before, one for all.

    φ is the common first autocorrelation, with Kendall's 1954 correction for short series, (1 + 3φ)/T.
    """
    known = np.isfinite(x)
    with np.errstate(invalid="ignore"):
        x = x - (np.where(known, x, 0.0).sum(axis=1) / known.sum(axis=1))[:, None]
    both = known[:, 1:] & known[:, :-1]
    last = np.where(both, x[:, :-1], 0.0)
    carried = float((np.where(both, x[:, 1:], 0.0) * last).sum() / max(float((last**2).sum()), 1e-300))
    carried = min(carried + (1 + 3 * carried) / x.shape[1], 0.98)
    return x, np.c_[np.full(len(x), np.nan), x[:, 1:] - carried * x[:, :-1]]


def _both(course: tuple[Floats, Floats], new: tuple[Floats, Floats]) -> Floats:
    """Transfer entropy and windowed cross-correlation of pairs, (2, d). course, new: of hearers and sources, (d, T) each."""
    now, last, told = course[0][:, 1:], course[0][:, :-1], course[1][:, :-1]
    good = np.isfinite(now) & np.isfinite(last) & np.isfinite(told)
    a, b, c = (np.where(good, of, 0.0) for of in (now, last, told))
    count = good.sum(axis=1)
    ab, ac, bc = _correlation(a, b, count), _correlation(a, c, count), _correlation(b, c, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (ac - ab * bc) / np.sqrt((1 - ab**2) * (1 - bc**2))
        # In short series r² is above 0 by chance, the more so the fewer turns: that is for the surrogates to tell.
        entropy = -0.5 * np.log1p(-np.minimum(r**2, 1 - 1e-12))
    return np.stack([entropy, _windowed(new[0][:, 2:], new[1][:, 1:-1])])


def _windowed(hearer: Floats, source: Floats) -> Floats:
    """Mean over windows of the correlation in each, of rows (d, T); NaN where no window is half full."""
    good = np.isfinite(hearer) & np.isfinite(source)
    width = good.shape[1] // WINDOW * WINDOW
    a, b = (np.where(good, of, 0.0)[:, :width].reshape(-1, WINDOW) for of in (hearer, source))
    count = good[:, :width].reshape(-1, WINDOW).sum(axis=1)
    near = np.where(count >= WINDOW // 2, _correlation(a, b, count), np.nan).reshape(len(good), -1)
    known = np.isfinite(near)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(known, near, 0.0).sum(axis=1) / known.sum(axis=1)
    return mean


def _correlation(a: Floats, b: Floats, count: Ints) -> Floats:
    """Of rows that are 0 where nothing is known; NaN where one does not vary."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_a, mean_b = a.sum(axis=1) / count, b.sum(axis=1) / count
        covariance = (a * b).sum(axis=1) / count - mean_a * mean_b
        var_a, var_b = (a**2).sum(axis=1) / count - mean_a**2, (b**2).sum(axis=1) / count - mean_b**2
        found: Floats = np.where((var_a > 1e-12) & (var_b > 1e-12), covariance / np.sqrt(var_a * var_b), np.nan)
    return found


def _flow(real: Floats, fake: Floats) -> Flow:
    value = _mean(real)
    chance = np.array([_mean(one) for one in fake])
    chance = chance[np.isfinite(chance)]
    if not np.isfinite(value) or not len(chance):
        return Flow(None, None, None)
    return Flow(float(value), float(chance.mean()), float((1 + (chance >= value - 1e-12).sum()) / (1 + len(chance))))


def _mean(of: Floats) -> float:
    known = of[np.isfinite(of)]
    return float(known.mean()) if len(known) else float("nan")
