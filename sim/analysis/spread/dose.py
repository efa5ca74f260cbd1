"""What a dose does: the chance of an onset in a step by what was heard before, and the spontaneous rate where nothing was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.sim.analysis.spread.risk import at_risk, cause_window
from contagium.sim.analysis.tables import Reason, Table, counted, number
from contagium.sim.log import Run
from contagium.sim.observer.agreement import Measured, share, unmeasured

Ints = NDArray[np.int64]

MINIMUM_TURNS = 20
"""Fewer agent-steps at risk give no rate of their own: they are joined to the doses below, or are too few."""

MOST_SOURCES, DOSES = 5, 4
"""Rows: numbers of sources from this on are one; doses are cut into as many parts of equal size at the most."""


@dataclass(frozen=True)
class Attack:
    """Of agents at risk at a dose: who had an onset. name: the dose in words. low, high: its range. onsets, turns: counts.

    middle: the mean dose. rate: onsets for each agent and step at risk.
    """

    name: str
    low: float
    high: float
    middle: float
    onsets: int
    turns: int
    rate: Measured


@dataclass(frozen=True)
class DoseResponse:
    """The chance of an onset in a step, by the number of sources heard and by the dose, of the last `window` steps.

    agents, onsets: that it rests on. unread: agent-steps left out, as they heard a message without a good reading. reason: why
    there is nothing; then `sources` and `doses` are empty.
    """

    sources: tuple[Attack, ...]
    doses: tuple[Attack, ...]
    window: int
    agents: int
    onsets: int
    unread: int = 0
    reason: str | None = None


def dose_response(run: Run, strain: str | None = None, kind: str = "case") -> DoseResponse:
    """Of the agents logged in detail, in steps before which all that they heard has a good reading: else their dose is not known.

    In the log of a large population few hear only agents that are logged in detail.
    """
    table = at_risk(run, strain, kind)
    known = table["unread"] == 0
    return from_table(table[known], cause_window(run, strain), int((~known).sum()))


def from_table(table: pd.DataFrame, window: int, unread: int = 0) -> DoseResponse:
    """From rows as `risk.at_risk` makes them: agent, event, dose, sources. unread: rows that were left out."""
    agent, event = table["agent"].to_numpy(np.int64), table["event"].to_numpy(bool)
    people, onsets = len(np.unique(agent)), int(event.sum())
    if len(table) < MINIMUM_TURNS:
        few = f"{counted(len(table), 'agent-step')} at risk of whom the dose is known: too few, {MINIMUM_TURNS} are needed"
        return DoseResponse((), (), window, people, onsets, unread, few)
    sources, dose = table["sources"].to_numpy(np.int64), table["dose"].to_numpy(np.float64)
    grouped = _joined(np.minimum(sources, MOST_SOURCES))
    heard = dose > 0
    cut = np.zeros(len(dose), dtype=np.int64)
    if heard.any():
        edges = np.unique(np.quantile(dose[heard], np.arange(1, DOSES) / DOSES))
        cut[heard] = 1 + np.searchsorted(edges, dose[heard], side="left")
        cut[heard] = _joined(cut[heard])
    return DoseResponse(
        tuple(_attacks(grouped, sources.astype(np.float64), agent, event, whole=True)),
        tuple(_attacks(cut, dose, agent, event, whole=False)),
        window,
        people,
        onsets,
        unread,
    )


def _joined(group: Ints) -> Ints:
    """Groups (n,), of which those too small at the upper end are one with the one below them."""
    names, place, counts = np.unique(group, return_inverse=True, return_counts=True)
    for k in range(len(names) - 1, 0, -1):
        if counts[k] < MINIMUM_TURNS and names[k - 1] > 0:
            counts[k - 1] += counts[k]
            place[place == k] = k - 1
    return np.asarray(names[place])


def _attacks(group: Ints, dose: NDArray[np.float64], agent: Ints, event: NDArray[np.bool_], whole: bool) -> Iterator[Attack]:
    before = 0.0
    for one in np.unique(group):
        here = group == one
        low, high = float(dose[here].min()), float(dose[here].max())
        form = ".0f" if whole else ".2f"
        name = f"{low:{form}}" if low == high else f"{low:{form}} to {high:{form}}"
        if f"{low:{form}}" == f"{before:{form}}" and before > 0:  # doses that differ by less than is shown
            name = f"> {name}" if low < high else f"> {before:{form}}"
        before = high
        events, turns = int(event[here].sum()), int(here.sum())
        yield Attack(name, low, high, float(dose[here].mean()), events, turns, clustered_share(event[here], agent[here]))


def clustered_share(event: NDArray[np.bool_], cluster: Ints) -> Measured:
    """A share with Wilson's interval, from as many observations as those of clusters (agents) that are alike are worth.

    Worth: n over the design effect, which is the variance between clusters over that of independent observations, 1 at the least.
    Source: Korn & Graubard 1998.
    """
    n, count = len(event), int(event.sum())
    ids, place = np.unique(cluster, return_inverse=True)
    if n < MINIMUM_TURNS:
        return unmeasured(f"{counted(n, 'agent-step')}: too few, {MINIMUM_TURNS} are needed", n, len(ids))
    p, groups = count / n, len(ids)
    effect = 1.0
    if 0 < count < n and groups > 1:
        excess = np.bincount(place, event - p)
        between, independent = groups / (groups - 1) * float(excess @ excess), n / (n - 1) * n * p * (1 - p)
        effect = max(1.0, between / independent)
    worth = share(count, n) if effect < 1 + 1e-9 else _wilson(p, n / effect)
    return Measured(p, worth.low, worth.high, n, groups)


def _wilson(p: float, n: float) -> Measured:
    from scipy.special import ndtri

    z2 = float(ndtri(0.975)) ** 2
    middle, reach = p + z2 / (2 * n), math.sqrt(z2 * (p * (1 - p) + z2 / (4 * n)) / n)
    return Measured(p, (middle - reach) / (1 + z2 / n), (middle + reach) / (1 + z2 / n), round(n), round(n))


def tables(found: DoseResponse) -> Iterator[Table]:
    """Secondary attack by sources and by dose."""
    says = (
        f"Of agents that had not been a case yet: the chance that their first sign falls in a step, by what they received in the "
        f"{found.window} steps before. With no source it is the spontaneous rate, false alarms included. Who hears much may "
        "differ in other ways from who hears little: this is no proof of contagion. Agents logged in detail; Wilson intervals, "
        "agents as clusters."
    )
    if found.unread:
        says += f" Left out are {counted(found.unread, 'agent-step')}, before which a message was heard that has no good "
        says += "reading in the log."
    head = ("heard", "onsets", "agent-steps at risk", "chance in a step (95%)")
    kinds = (("by different agents that showed it", found.sources), ("by dose", found.doses))
    for title, attacks in kinds:
        rows = [(one.name, str(one.onsets), str(one.turns), number(one.rate, "z.2%")) for one in attacks]
        rows = rows or [("any", str(found.onsets), "", Reason(found.reason))]
        yield Table(f"Secondary attack {title}", says, head, tuple(rows), secondary=title == "by dose")
