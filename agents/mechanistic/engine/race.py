"""Kernels of contagion in steps: the race of an agent's possible transitions, and how long it stays where it came to."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.contagion import Tables
from contagium.agents.mechanistic.kernels import Word, threefry, unit, wait
from contagium.agents.mechanistic.response import HILL, LINEAR
from contagium.envs.compiled import kernel

Array = NDArray[Any]

PUNCTUAL = 1.0 + 1e-6
"""A dwell time that ends with a step, up to rounding, ends in it and not in the next."""


@kernel(inline="always")
def factor(kind: int, at: float, power: float, dose: float) -> float:
    """A response's factor on the rate at a positive `dose`; a share that equals a threshold up to rounding has reached it."""
    if kind == LINEAR:
        return dose
    if kind == HILL:
        return 1.0 / (1.0 + (at / dose) ** power)
    return 1.0 if dose >= at * (1.0 - 1e-12) else 0.0


@kernel
def dose_of(source: int, on: int, first: int, last: int, who: Array, state: Array, weight: Array, layer: Array) -> float:
    """Summed weight of the contacts `first` to `last` in compartment `source`. on: the layer of those that count, −1 for all."""
    if on < 0 and len(weight) == 0:
        count = 0.0
        for e in range(first, last):
            count += np.float64(state[who[e]] == source)
        return count
    dose = 0.0
    for e in range(first, last):
        if state[who[e]] == source and (on < 0 or layer[e] == on):
            dose += weight[e] if len(weight) else 1.0
    return dose


@kernel
def heard(on: int, first: int, last: int, weight: Array, layer: Array) -> float:
    """Summed weight of the contacts `first` to `last`, of those that count."""
    if on < 0 and len(weight) == 0:
        return float(last - first)
    total = 0.0
    for e in range(first, last):
        if on < 0 or layer[e] == on:
            total += weight[e] if len(weight) else 1.0
    return total


@kernel
def source_of(
    draw: float, source: int, on: int, first: int, last: int, who: Array, state: Array, weight: Array, layer: Array
) -> int:
    """The contact that a `draw` in [0, 1] names among those in compartment `source`, in proportion to weight."""
    left, found = draw * dose_of(source, on, first, last, who, state, weight, layer), -1
    for e in range(first, last):
        if (on < 0 or layer[e] == on) and state[who[e]] == source:
            found = e
            left -= weight[e] if len(weight) else 1.0
            if left < 0.0:
                break
    return found


@kernel
def race(
    first: int,
    last: int,
    tables: Tables,
    indptr: Array,
    who: Array,
    state: Array,
    weight: Array,
    layer: Array,
    place: Array,
    tally: Array,
    compartment: Array,
    due: Array,
    then: Array,
    start: Array,
    elapsed: Array,
    scale: Array,
    ids: Array,
    key: Word,
    step: int,
    target: Array,
    contact: Array,
) -> None:
    """For agents `first` to `last` − 1: the compartment each moves to (−1: none) and the contact it moves by (−1: by itself).

    tally: (k, n) how many contacts of each agent are in each source compartment, whose row is in `place`; empty where contacts
    have to be looked at one by one.
    """
    origin, source, leads, rate, on = tables.origin, tables.source, tables.target, tables.rate, tables.layer
    kind, share, a, b = tables.response, tables.share, tables.a, tables.b
    by_strain = scale.shape[1] > 1
    hazard = np.zeros(len(rate))
    for i in range(first, last):
        target[i], contact[i] = -1, -1
        begins, ends, rest = indptr[i], indptr[i + 1], due[i] - start[i]
        total = 0.0
        for t in range(len(rate)):
            hazard[t] = 0.0
            if origin[t] == compartment[i]:
                if len(tally):
                    dose = float(tally[place[source[t]], i])
                else:
                    dose = dose_of(source[t], on[t], begins, ends, who, state, weight, layer)
                if dose > 0.0:
                    dose = dose / heard(on[t], begins, ends, weight, layer) if share[t] else dose
                    own = scale[i, tables.strain[t] if by_strain else 0]
                    hazard[t] = own * rate[t] * factor(kind[t], a[t], b[t], dose)
                    total += hazard[t]
        if total > 0.0:
            one, two = threefry(key, np.uint64(step), np.uint64(ids[i]), np.uint64(0))
            comes = -math.log1p(-unit(one)) / total
            if comes < elapsed[i] and comes < rest:
                left, t = unit(two) * total, 0
                while t < len(rate) - 1 and left >= hazard[t]:
                    left -= hazard[t]
                    t += 1
                while hazard[t] == 0.0:  # rounding may have led past the last that can be
                    t, left = t - 1, hazard[t - 1]
                target[i] = leads[t]
                contact[i] = source_of(min(left / hazard[t], 1.0), source[t], on[t], begins, ends, who, state, weight, layer)
                continue
        if rest <= elapsed[i] * PUNCTUAL:
            target[i] = then[i]


@kernel
def tell(rows: Array, before: Array, after: Array, indptr: Array, hearer: Array, place: Array, tally: Array) -> None:
    """Keep the tally: the agents at `rows` came from the compartments `before` to `after`, and `hearer` hears them."""
    for k in range(len(rows)):
        left, came = place[before[k]], place[after[k]]
        if left == came:
            continue
        for e in range(indptr[rows[k]], indptr[rows[k] + 1]):
            if left >= 0:
                tally[left, hearer[e]] -= 1
            if came >= 0:
                tally[came, hearer[e]] += 1


@kernel
def enter(
    tables: Tables, rows: Array, compartment: Array, now: float, ids: Array, key: Word, step: int, due: Array, then: Array
) -> None:
    """For the agents at `rows`, which came to their compartments at `now`: when they move on by themselves, and where to."""
    for i in rows:
        due[i], then[i] = np.inf, -1
        for p in range(len(tables.begins)):
            if tables.begins[p] == compartment[i]:
                state = threefry(key, np.uint64(step), np.uint64(ids[i]), np.uint64(p))[0]
                stays = wait(tables.dwell[p], tables.c[p], tables.d[p], state)[0]
                if now + stays < due[i]:
                    due[i], then[i] = now + stays, tables.leads[p]
