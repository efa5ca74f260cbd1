"""Do agents take a feature up after having heard it? A test of many features at once, with who heard whom as its evidence.

An agent takes a feature up in the step in which it first shows it. Among those who spoke in that step and had not shown it
before, those who had lately heard more of it are compared with the others: the score of a log-rank test with the step as stratum
(Mantel 1966; Cox 1972), so that what makes a feature likelier for everybody in a step cancels. Under the null hypothesis who
heard what does not matter: within each step the inboxes may be exchanged among those at risk. The same exchanges are made for all
features, and the greatest score of each gives p-values that hold for all features together (Westfall & Young 1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEW = 4
"""Uptakes in steps where they could have told something, under which a feature is not tested."""

EVENTS = 2_000_000
"""Uptakes times permutations worked on at once, which bounds memory."""

BLOCK = 256  # features worked on at once, at most

CELLS = 20_000_000
"""Steps times agents times features worked on at once, which bounds memory."""

MOST = 1_000_000_000
"""Steps times agents times permutations: more are refused, for they would take gigabytes."""


@dataclass(frozen=True)
class Contacts:
    """Who spoke and who had heard what. agents: (A,) ids, ascending. steps: T, the first being `first`.

    sender, step: (M,) places of each message. heard: (T·A, M), how often a message was in the inbox of the last steps, rows by
    step and then agent. acted: (T, A).
    """

    agents: Ints
    first: int
    steps: int
    sender: Ints
    step: Ints
    heard: csr_matrix
    acted: NDArray[np.bool_]

    def turns(self, used: csc_matrix) -> csc_matrix:
        """From messages (M, F) to turns (T·A, F): whether any message of the turn shows a feature."""
        rows = self.step * len(self.agents) + self.sender
        said = csr_matrix((np.ones(len(rows), dtype=np.int64), (rows, np.arange(len(rows)))), shape=self.heard.shape)
        return (said @ used).astype(bool).tocsc()


def contacts(messages: pd.DataFrame, exposures: pd.DataFrame, window: int) -> Contacts:
    """From messages (id, step, sender) and exposures (step, message, agent) of a log, at least one message.

    Heard in a step is what was delivered in the `window` steps before it, by one of the messages. Who never speaks is left out.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    agents, sender = np.unique(messages["sender"].to_numpy(np.int64), return_inverse=True)
    at = messages["step"].to_numpy(np.int64)
    first, steps = int(at.min()), int(at.max() - at.min()) + 1
    known = exposures[exposures["agent"].isin(agents) & exposures["message"].isin(messages["id"])]
    row = pd.Series(np.arange(len(messages)), index=messages["id"])
    who, what = np.searchsorted(agents, known["agent"]), row[known["message"]].to_numpy()
    later = (known["step"].to_numpy(np.int64) - first)[:, None] + np.arange(1, window + 1)
    inside = (later >= 0) & (later < steps)
    rows = (later * len(agents) + who[:, None])[inside]
    columns = np.broadcast_to(what[:, None], later.shape)[inside]
    shape = (steps * len(agents), len(messages))
    heard = csr_matrix((np.ones(len(rows), dtype=np.int32), (rows, columns)), shape=shape)
    acted = np.zeros((steps, len(agents)), dtype=bool)
    acted[at - first, sender] = True
    return Contacts(agents, first, steps, sender, at - first, heard, acted)


@dataclass(frozen=True)
class Uptake:
    """What the test says of F features, all (F,).

    score: roughly standard normal where nothing spreads, NaN where a feature cannot be tested. p: the probability of so high a
    score for any feature, p_alone: for this one. ratio, low, high: how much likelier an agent is to take a feature up in a step
    when it has heard it, with 95% interval. uptakes: in steps that tell something; after_hearing: those of who had heard it.
    """

    score: Floats
    p: Floats
    p_alone: Floats
    ratio: Floats
    low: Floats
    high: Floats
    uptakes: Ints
    after_hearing: Ints


def uptake(made: Contacts, used: csc_matrix, permutations: int, rng: np.random.Generator) -> Uptake:
    """Test every column of `used` (M, F). Cost grows with features × uptakes × permutations. ValueError: more than MOST."""
    if made.acted.size * permutations > MOST:
        sizes = f"{made.steps:,} steps × {len(made.agents):,} agents × {permutations:,} permutations"
        raise ValueError(f"{sizes} are more than {MOST:,}")
    agents = np.arange(len(made.agents), dtype=np.min_scalar_type(len(made.agents)))
    orders = rng.permuted(np.broadcast_to(agents, (permutations, made.steps, len(agents))), axis=2)
    said = made.turns(used)
    size = max(1, min(BLOCK, CELLS // made.acted.size))
    blocks = [_block(made, said[:, i : i + size], used[:, i : i + size], orders) for i in range(0, used.shape[1], size)]
    score, null, tables = (np.concatenate([block[k] for block in blocks], axis=-1) for k in range(3))
    ratio, low, high = risk_ratio(tables[2:])
    p_alone = np.where(np.isnan(score), np.nan, (1 + (null >= score.astype(np.float32)).sum(axis=0)) / (permutations + 1))
    counts = tables[:2].astype(np.int64)
    return Uptake(score, step_down(score, null), p_alone, ratio, low, high, counts[0], counts[1])


def _block(
    made: Contacts, said: csc_matrix, used: csc_matrix, orders: NDArray[np.unsignedinteger]
) -> tuple[Floats, NDArray[np.float32], Floats]:
    """Score (F,), scores of the permutations (R, F) and summed tables (6, F) of a few features."""
    count, size = used.shape[1], len(made.agents)
    first = _first(said, made)
    agent, feature = np.nonzero(first < made.steps)
    pair, of_event = np.unique(first[agent, feature] * count + feature, return_inverse=True)
    step, column = np.divmod(pair, count)
    at_risk = made.acted[step] & (step[:, None] <= first[:, column].T)
    heard = (made.heard @ used.astype(np.int32)).toarray().reshape(made.steps, size, count)[step, :, column]
    inbox = np.asarray(made.heard.sum(axis=1)).reshape(made.steps, size)[step]
    excess, moments = _excess(heard, inbox, at_risk, np.bincount(of_event, minlength=len(pair)))
    tables = _tables(heard > 0, at_risk, agent, of_event, moments[0] > 0)
    sums = np.zeros((2 + len(tables), count))
    np.add.at(sums.T, column, np.stack([*moments, *tables], axis=1))
    kept = (sums[2] >= FEW)[column[of_event]] & (moments[0] > 0)[of_event]
    event, agent = of_event[kept], agent[kept]
    score = np.full(count, np.nan)
    null = np.full((len(orders), count), np.nan, dtype=np.float32)
    tested = np.unique(column[event])
    observed = np.bincount(column[event], excess[event, agent], minlength=count)
    score[tested] = _normal(observed[tested], *sums[:2, tested])
    rounds = max(1, EVENTS // max(1, len(event)))
    for start in range(0, len(orders), rounds):
        drawn = _exchanged(orders[start : start + rounds], step[event], agent, excess, event)
        total = csr_matrix((np.ones(len(event)), (column[event], np.arange(len(event)))), shape=(count, len(event))) @ drawn.T
        null[start : start + rounds, tested] = _normal(total[tested].T, *sums[:2, tested])
    return score, null, sums[2:]


def _first(said: csc_matrix, made: Contacts) -> Ints:
    """The step (A, F) in which each agent first shows each feature; T where it never does."""
    first = np.full((len(made.agents), said.shape[1]), made.steps, dtype=np.int64)
    shown = said.tocoo()
    step, agent = np.divmod(shown.row, len(made.agents))
    np.minimum.at(first, (agent, shown.col), step)
    return first


def _excess(heard: Ints, inbox: Ints, at_risk: NDArray[np.bool_], events: Ints) -> tuple[Floats, tuple[Floats, Floats]]:
    """By pair of step and feature (P, A): log(1 + how often it was heard), less what the size of the inbox lets expect, centred
    on those at risk; NaN for the others. With it the cumulants (2, P) of its sum over `events` agents drawn without return.

    The logarithm, for a second hearing adds less than the first. Who hears much hears more of everything, and may say more as
    well, which is no contagion; expected is the mean logarithm of a binomial count, to second order.
    """
    n = at_risk.sum(axis=1)
    share = np.minimum(1, (heard * at_risk).sum(axis=1) / np.maximum(1, (inbox * at_risk).sum(axis=1)))[:, None]
    mean = share * inbox
    excess = np.log1p(heard) - np.log1p(mean) + mean * (1 - share) / (2 * (1 + mean) ** 2)
    excess[~at_risk] = 0
    excess -= (excess.sum(axis=1) / n)[:, None]
    excess[~at_risk] = 0
    excess[np.abs(excess) < 1e-9] = 0
    second, third = (excess**2).sum(axis=1) / n, (excess**3).sum(axis=1) / n
    spread = events * (n - events) / np.maximum(1, n - 1)
    skew = spread * (n - 2 * events) / np.maximum(1, n - 2)
    excess[~at_risk] = np.nan
    return excess, (spread * second, skew * third)


def _exchanged(orders: NDArray[np.unsignedinteger], step: Ints, agent: Ints, excess: Floats, pair: Ints) -> Floats:
    """What falls to each uptake (E,) when inboxes are exchanged, (R, E).

    An exchange sends everybody on to somebody else's inbox. Where that one is not at risk for the feature its inbox is passed on
    again: the first return of a uniform permutation to a subset is a uniform permutation of the subset.
    """
    to = orders[:, step, agent]
    drawn = excess[pair, to]
    lost = np.nonzero(np.isnan(drawn))
    while len(lost[0]):
        to = orders[lost[0], step[lost[1]], to if to.ndim == 1 else to[lost]]
        found = excess[pair[lost[1]], to]
        drawn[lost] = found
        again = np.isnan(found)
        lost, to = (lost[0][again], lost[1][again]), to[again]
    return drawn


def _normal(total: Floats, variance: Floats, third: Floats) -> Floats:
    """A sum with skewness as a nearly normal score: Pearson's type III curve through its three moments, made normal by the cube
    root (Wilson & Hilferty 1931). A rare feature, whose few uptakes are far from normal, so does not crowd out the others.
    """
    skew = third / variance**1.5
    skew = np.where(np.abs(skew) < 1e-3, 1e-3, skew)
    score = (np.cbrt(1 + total / np.sqrt(variance) * skew / 2) - 1 + skew**2 / 36) * 6 / skew
    return np.round(score, 4)  # equal sums, added up in another order, are ties


def _tables(
    heard: NDArray[np.bool_], at_risk: NDArray[np.bool_], agent: Ints, pair: Ints, telling: NDArray[np.bool_]
) -> tuple[Floats, ...]:
    """By pair (P,): uptakes, those after hearing, and the parts of the Mantel–Haenszel ratio, 0 where nothing could be told."""
    n, n1 = at_risk.sum(axis=1), (at_risk & heard).sum(axis=1)
    a = np.bincount(pair, heard[pair, agent], minlength=len(n))
    d = np.bincount(pair, minlength=len(n))
    n0, b = n - n1, d - a
    parts = d, a, a * n0 / n, b * n1 / n, (n1 * n0 * d - a * b * n) / n**2
    return tuple(np.where(telling, part, 0.0) for part in parts)


def risk_ratio(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Mantel–Haenszel ratio of risks and its 95% interval (Greenland & Robins 1985) from summed parts (3, F).

    Half an uptake is added on either side, in a step of one agent who heard and one who did not: the ratio stays finite.
    """
    heard, unheard, spread = sums[0] + 0.25, sums[1] + 0.25, sums[2] + 0.125
    ratio = heard / unheard
    width = np.exp(1.959964 * np.sqrt(spread / (heard * unheard)))
    return ratio, ratio / width, ratio * width


def step_down(score: Floats, null: NDArray[np.floating]) -> Floats:
    """p-values (F,) that hold for all features together, from the scores of R permutations (R, F); NaN where a score is.

    The step-down greatest-score method of Westfall & Young (1993): a feature is held against those that score no higher.
    """
    p = np.full(len(score), np.nan)
    tested = np.flatnonzero(~np.isnan(score))
    if not len(tested):
        return p
    up = tested[np.argsort(score[tested], kind="stable")]
    greatest = np.maximum.accumulate(null[:, up], axis=1)
    reached = (1 + (greatest >= score[up].astype(np.float32)).sum(axis=0)) / (len(null) + 1)
    p[up] = np.maximum.accumulate(reached[::-1])[::-1]
    return p
