"""How far a run's readings can be trusted: agreement, test-retest, failures and drift, from its event log alone.

As a command: `python -m contagium.sim.observer.reliability RUN_DIR…`; docs/reliability.md explains every number.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.envs.message import AFFECT
from contagium.sim.log import Run
from contagium.sim.observer import agreement
from contagium.sim.observer.agreement import Floats, Measured, Statistic, measure, share, unmeasured
from contagium.sim.observer.observer import as_stated
from contagium.sim.observer.rulers import Rater, Rulers, rulers

POWER = 2.8
"""Standard errors that an effect must have to be seen in four of five repeats: 1.96 + 0.84."""

CALLED = {2: "called or not", 9: "9 points", 11: "0 to 10"}
"""What readings are sorted into for kappa, by the number of categories."""


@dataclass(frozen=True)
class Pair:
    """Two instruments on the same things. rank: Spearman's correlation. alpha: Krippendorff's, of interval data on one scale.

    kappa: weighted, of the categories `called`. drift: what a step adds to `raters[0]` less `raters[1]` on that scale.
    """

    axis: str
    raters: tuple[str, str]
    rank: Measured
    alpha: Measured
    kappa: Measured
    called: str
    drift: Measured


@dataclass(frozen=True)
class Panel:
    """Several judgements of the same texts, by different judges or by one again. single, mean: ICC(2,1) and ICC(2,k).

    kappa: quadratic weights, mean over pairs (Light 1971). effective: how many independent judges they are worth.
    """

    axis: str
    judges: tuple[str, ...]
    alpha: Measured
    kappa: Measured
    single: Measured
    mean: Measured
    effective: Measured


@dataclass(frozen=True)
class Reread:
    """Texts read again in a later step. icc: ICC(2,1) of first and later reading. drift: what a step adds to the change."""

    instrument: str
    axis: str
    icc: Measured
    change: Measured
    drift: Measured


@dataclass(frozen=True)
class Twice:
    """Texts that were said before word by word. same: the share that an instrument read exactly as it did the first time."""

    instrument: str
    same: Measured


@dataclass(frozen=True)
class Failed:
    """The share of an instrument's readings on a channel that failed, and why, most frequent first."""

    instrument: str
    channel: str
    share: Measured
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Reliability:
    """All of it. notes: what cannot be said of this run, in words."""

    pairs: tuple[Pair, ...]
    panels: tuple[Panel, ...]
    reread: tuple[Reread, ...]
    twice: tuple[Twice, ...]
    failed: tuple[Failed, ...]
    notes: tuple[str, ...]


def smallest_seen(drift: Measured) -> float | None:
    """The slope that would have been seen in four of five runs like this one; None where no slope was measured."""
    return None if drift.error is None else POWER * drift.error


def reliability(run: Run, parts: bool = False) -> Reliability:
    """The reliability report of a run. parts: also of columns with a dot in their name, the parts of others."""
    known = rulers(run)
    axes = [axis for axis in known.columns if parts or "." not in axis]
    pairs = tuple(pair for axis in axes for pair in _pairs(known, axis))
    panels = tuple(panel for axis in axes for panel in _panels(known, axis))
    reread = tuple(found for axis in axes for found in _reread(known, axis))
    twice = tuple(Twice(name, share(same, of)) for name, (same, of) in known.said_twice().items())
    failed = tuple(
        Failed(name, channel, share(sum(why.values()), of), tuple(sorted(why.items(), key=lambda item: (-item[1], item[0]))))
        for (name, channel), (of, why) in known.failures.items()
    )
    return Reliability(pairs, panels, reread, twice, failed, tuple(_notes(pairs, panels, reread, twice, failed)))


def _notes(
    pairs: tuple[Pair, ...],
    panels: tuple[Panel, ...],
    reread: tuple[Reread, ...],
    twice: tuple[Twice, ...],
    failed: tuple[Failed, ...],
) -> Iterator[str]:
    if not failed:
        yield "Nothing was read, so there is nothing to compare."
        return
    if not pairs:
        yield "No two instruments measured the same thing on the same messages, so how far they agree is not known."
    if not panels:
        yield "No text was judged more than once in a step, so agreement between judges is not known."
    if not reread and not twice:
        yield "No text was read twice, so whether a second reading would be the same is not known."


def _pairs(known: Rulers, axis: str) -> Iterator[Pair]:
    for one, other in combinations(known.raters(axis), 2):
        table = known.together(axis, (one, other))
        if len(table):
            yield _pair(known, axis, (one, other), table)


def _pair(known: Rulers, axis: str, raters: tuple[Rater, Rater], table: pd.DataFrame) -> Pair:
    """table: columns agent, step and one for each rater, "0" and "1"."""
    raw, labels = table[["0", "1"]].to_numpy(np.float64), (raters[0].label, raters[1].label)
    of = partial(_measured, known, table, f"{axis} {' '.join(labels)}")
    rank = of("rank", partial(agreement.spearman, raw[:, 0], raw[:, 1]))
    enter = [known.enter.get((axis, rater.instrument), np.nan) for rater in raters]
    if axis in known.strains and np.isnan(enter).any():
        bare = " and ".join(label for label, threshold in zip(labels, enter, strict=True) if np.isnan(threshold))
        no = unmeasured(f"no threshold of {bare}", rank.n, rank.clusters)
        return Pair(axis, labels, rank, no, no, "", no)
    scaled = np.asarray(as_stated(raw, np.array(enter)), np.float64) if axis in known.strains else raw
    codes = ((raw >= enter).astype(np.int64), 2) if axis in known.strains else categories(axis, raw)
    alpha = of("alpha", partial(agreement.krippendorff_alpha, scaled, "interval"))
    drift = _drift(of, table["step"].to_numpy(np.float64), scaled[:, 0] - scaled[:, 1])
    if codes is None:
        return Pair(axis, labels, rank, alpha, unmeasured("no categories", rank.n, rank.clusters), "", drift)
    kappa = of("kappa", partial(agreement.weighted_kappa, codes[0][:, 0], codes[0][:, 1], codes[1], "quadratic"))
    return Pair(axis, labels, rank, alpha, kappa, CALLED.get(codes[1], ""), drift)


def categories(axis: str, ratings: Floats) -> tuple[NDArray[np.int64], int] | None:
    """Readings as categories and how many there are: affect on nine points, distress on eleven, whole numbers from 0 to 10 as
    they are. None for others."""
    if axis in AFFECT:
        return np.rint((np.clip(ratings, -1, 1) + 1) * 4).astype(np.int64), 9
    whole = np.rint(ratings)
    if (axis == "distress" or np.array_equal(whole, ratings)) and ratings.min() >= 0 and ratings.max() <= 10:
        return whole.astype(np.int64), 11
    return None


def _measured(known: Rulers, table: pd.DataFrame, name: str, kind: str, statistic: Statistic) -> Measured:
    return measure(statistic, table["agent"].to_numpy(np.int64), known.streams, f"{kind} {name}")


def _drift(of: partial[Measured], step: Floats, difference: Floats) -> Measured:
    return of("drift", partial(agreement.slope, step, difference))


def _panels(known: Rulers, axis: str) -> Iterator[Panel]:
    for judges in known.panels(axis):
        table = known.together(axis, judges)
        columns, labels = [str(k) for k in range(len(judges))], tuple(judge.label for judge in judges)
        name = f"{axis} {' '.join(labels)}"
        # Kappa and ICC need every judge's word, the others take what there is.
        complete = table.dropna()
        ratings, gapless = table[columns].to_numpy(np.float64), complete[columns].to_numpy(np.float64)
        of, all_of = partial(_measured, known, table, name), partial(_measured, known, complete, name)
        codes = categories(axis, gapless) if len(gapless) else None
        yield Panel(
            axis,
            labels,
            of("alpha", partial(agreement.krippendorff_alpha, ratings, "interval")),
            unmeasured("no categories", len(complete)) if codes is None else all_of("kappa", partial(_light, *codes)),
            all_of("single", partial(agreement.icc, gapless, "2,1")),
            all_of("mean", partial(agreement.icc, gapless, "2,k")),
            of("effective", partial(agreement.effective_judges, ratings)),
        )


def _light(codes: NDArray[np.int64], count: int, weights: Floats) -> Floats:
    """Quadratic-weighted kappa, mean over the pairs of raters. Source: Light 1971."""
    pairs = combinations(codes.T, 2)
    return np.mean([agreement.weighted_kappa(one, other, count, "quadratic", weights) for one, other in pairs], axis=0)


def _reread(known: Rulers, axis: str) -> Iterator[Reread]:
    for first, again in known.retests(axis):
        table = known.reread(axis, first, again)
        ratings = table[["0", "1"]].to_numpy(np.float64)
        of = partial(_measured, known, table, f"{axis} {again.label}")
        change = ratings[:, 1] - ratings[:, 0]
        yield Reread(
            first.label,
            axis,
            of("icc", partial(agreement.icc, ratings, "2,1")),
            of("change", partial(agreement.mean, change)),
            _drift(of, table["step"].to_numpy(np.float64), change),
        )


if __name__ == "__main__":
    from contagium.sim.analysis.report.reliability import main

    sys.exit(main())
