"""What cannot have been a cause, tested as if it were: other networks, ties turned round, what was heard only afterwards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from contagium.sim.analysis.causes.evidence import Bools, Evidence, Ints
from contagium.sim.analysis.causes.permutation import FEW, Finding, excess, finding, hazard_ratio, untold
from contagium.sim.analysis.causes.permutation import score as in_words
from contagium.sim.analysis.estimate import Estimate, unknown

NETWORKS = 99
"""Placebo networks at most."""

WORK = 15_000_000
"""Messages that show it, rows at risk and steps times agents, all together, times placebo networks: of more, fewer networks are
made, but at least 19."""

ROUNDS = 3
"""Rounds between two placebo networks, in each of which every tie is offered one swap."""


def other_networks(of: Evidence, permutations: int, rng: np.random.Generator) -> Finding:
    """Does the network tell more of who is next than others with the same degrees?

    Statistic: the excess of what those with an onset had heard (`permutation.heard_more`), by its standard deviation. Null: all
    that went along a tie goes to another hearer, what came by chance stays. Networks are made by swapping the hearers of two
    ties, again and again, which leaves every agent as many sources and hearers as it has (Maslov & Sneppen 2002). Shocks that
    everybody shares cancel, as they do in either network; homophily, which follows the true ties, does not.
    """
    name = "true network against placebo networks"
    n = int(of.event.sum())
    kept = of.dose > 0
    of = replace(of, **{part: getattr(of, part)[kept] for part in ("step", "hearer", "source", "dose", "chance")})
    shown = np.flatnonzero(~of.chance)
    if n < FEW or not len(shown):
        return untold(name, f"{n} onsets, {len(shown)} messages along ties that show it: {FEW} onsets are needed", n)
    tie = _tie(of)[shown]
    rounds = max(19, min(permutations, NETWORKS, WORK // (len(shown) + len(of.at) + of.steps * of.size)))
    hearer, swapped = of.ties[1], 0
    score, ratio = np.empty(rounds + 1), np.empty(rounds + 1)
    to = of.hearer.copy()
    for k in range(rounds + 1):
        to[shown] = hearer[tie]
        score[k], ratio[k] = _score(of, to)
        for _ in range(ROUNDS):
            hearer, some = swap(of.ties[0], hearer, of.size, rng)
            swapped += some
    if not swapped or np.isnan(score[0]):
        return untold(name, "no other network has these degrees" if not swapped else "those at risk had all heard the same", n)
    null = np.nan_to_num(score[1:])  # a placebo in which all had heard the same tells nothing of anybody
    low, middle, high = np.nanquantile(ratio[1:], [0.025, 0.5, 0.975]) if not np.isnan(ratio[1:]).all() else (np.nan,) * 3
    placebo = f"{middle:.1f} ({low:.1f} to {high:.1f}) in placebos" if middle == middle else "none in placebos"
    told = f"ratio {ratio[0]:.1f}, {placebo}" if ratio[0] == ratio[0] else f"{in_words(score[0], null)}; no ratio can be said"
    return finding(name, float(score[0]), null, n, told)


def _score(of: Evidence, hearer: Ints) -> tuple[float, float]:
    """Excess of dose over its standard deviation, and ratio of hazards, had `hearer` (m,) received it; NaN where untold."""
    heard = of.before(hearer, of.dose)
    value = excess(of.strata, np.log1p(heard), np.log1p(of.inbox))
    events, count = np.bincount(of.strata, of.event), np.bincount(of.strata)
    variance = np.bincount(of.strata, value**2) / count * events * (count - events) / np.maximum(1, count - 1)
    ratio = hazard_ratio(of.strata, heard > 0, of.event).value
    spread = float(np.sqrt(variance.sum()))
    return float(value @ of.event) / spread if spread > 0 else float("nan"), float("nan") if ratio is None else ratio


def swap(source: Ints, hearer: Ints, size: int, rng: np.random.Generator) -> tuple[Ints, int]:
    """The hearers (E,) after each tie was offered to exchange its hearer with another one, and how many did.

    Refused is what would make an agent hear itself or a tie exist twice.
    """
    order = rng.permutation(len(source))
    one, other = order[: len(order) // 2], order[len(order) // 2 :][: len(order) // 2]
    fine = (source[one] != hearer[other]) & (source[other] != hearer[one])
    one, other = one[fine], other[fine]
    new = np.concatenate([source[one] * size + hearer[other], source[other] * size + hearer[one]])
    fine = ~_repeated(np.concatenate([source * size + hearer, new]))[len(source) :].reshape(2, -1).any(axis=0)
    one, other = one[fine], other[fine]
    after = hearer.copy()
    after[one], after[other] = hearer[other], hearer[one]
    return after, int(fine.sum())


def _repeated(keys: Ints) -> Bools:
    """Whether each (k,) is there more than once; many times faster here than NumPy's own `isin`."""
    order = np.argsort(keys)
    same = np.flatnonzero(np.diff(keys[order]) == 0)
    found = np.zeros(len(keys), dtype=bool)
    found[order[same]] = found[order[same + 1]] = True
    return found


def afterwards(of: Evidence) -> Estimate:
    """Ratio of hazards by what was heard in the window from the step of the onset on, by sources that do not hear the agent.

    It comes too late to be a cause, and of these sources cannot be an effect: a ratio above 1 shows a common cause or homophily
    (negative-control exposure: Lipsitch, Tchetgen Tchetgen & Cohen 2010).
    """
    method = "what was heard afterwards"
    one_way = _one_way(of)
    if not one_way.any():
        return unknown("all ties run both ways: what an agent hears afterwards it may have caused itself", 0, method)
    heard = of.before(of.hearer, np.where(one_way, of.dose, 0.0), ahead=of.window)
    whole = of.at + of.window <= of.steps
    return hazard_ratio(of.strata[whole], heard[whole] > 0, of.event[whole], method)


def turned_round(of: Evidence) -> Estimate:
    """Ratio of hazards by what those showed who hear the agent, and whom it does not hear (edge reversal: Christakis & Fowler
    2007, Anagnostopoulos et al. 2008). A ratio above 1 shows a common cause or homophily.
    """
    method = "ties turned round"
    one_way = ~of.mutual
    if not one_way.any():
        return unknown("all ties run both ways: turned round they are the same", 0, method)
    shown = np.zeros((of.steps, of.size))
    np.maximum.at(shown, (of.step, of.source), of.dose)
    source, hearer = of.ties[:, one_way]
    heard = np.zeros((of.steps, of.size))
    np.add.at(heard.T, source, shown.T[hearer])
    total = np.vstack([np.zeros((1, of.size)), np.cumsum(heard, axis=0)])
    dose = total[of.at, of.agent] - total[np.maximum(of.at - of.window, 0), of.agent]
    return hazard_ratio(of.strata, dose > 1e-9, of.event, method)


def _one_way(of: Evidence) -> Bools:
    """Whether each message received (m,) came along a tie that does not run back."""
    found = np.zeros(len(of.source), dtype=bool)
    found[~of.chance] = ~of.mutual[_tie(of)[~of.chance]]
    return found


def _tie(of: Evidence) -> Ints:
    """The place among the ties of each message received (m,); of what came by chance it means nothing."""
    source, hearer = of.ties
    return np.searchsorted(source * of.size + hearer, of.source * of.size + of.hearer)
