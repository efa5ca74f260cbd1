"""Who is due next: buckets of time, and a heap for the bucket that is open (a calendar queue; Brown 1988).

Each agent is due at one time at most. Entering and taking cost the same however many agents wait, as long as buckets hold few:
each lap of buckets is fitted to those that then wait, so that no scale of time must be guessed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.kernels import compiled, inlined

NEAR = np.dtype([("time", "f8"), ("agent", "i4")], align=True)
LAP = 8.0
"""Mean waits that one lap of buckets covers; what comes later waits for the next."""

FASTEST = np.finfo(np.float64).max
"""Pace of a lap without width: buckets for a unit of time."""

LEAF = 16
"""Names on a leaf, a line of memory: the first names the leaf that was filled before it in the same bucket, −1 for none."""

OPEN, HEAPED, FREE, FRESH, USED, IN_LAP = range(6)
START, PACE, NOW = range(3)


class Agenda(NamedTuple):
    """due (N,): when each agent is due, inf for never, −inf once it was taken.

    waiting: the leaves of all buckets, one after the other; an entry whose agent is no longer due in its bucket is stale. head
    (B + 1,): last entry made in each bucket, −1 for none, the last bucket being for what comes after this lap. near: the heap of
    the open bucket. mark: bucket that is open, entries in the heap, last leaf freed, first never used, entries in leaves, those
    of them in this lap. span: start of the lap, buckets per unit of
    time, the last time taken.
    """

    due: NDArray[np.float64]
    waiting: NDArray[np.int32]
    head: NDArray[np.int32]
    near: NDArray[np.void]
    mark: NDArray[np.int64]
    span: NDArray[np.float64]


def agenda(due: NDArray[np.float64], burst: int) -> Agenda:
    """An agenda for those who are due at a finite time. burst: most entries ever made between two calls of `make_room`."""
    size = len(due)
    room, buckets = 2 * size + burst + 64, max(64, size // 64)
    a = Agenda(
        due,
        # Of the leaves in use all are full but one a bucket, and one more is at hand while it is emptied.
        np.empty(LEAF * (room // (LEAF - 1) + buckets + 3), dtype=np.int32),
        np.empty(buckets + 1, dtype=np.int32),
        np.empty(room, dtype=NEAR),
        np.empty(6, dtype=np.int64),
        np.zeros(3),
    )
    _enter_all(a)
    return a


@compiled
def _enter_all(a: Agenda) -> None:
    """Enter everybody anew, which drops stale entries."""
    a.head[:] = -1
    a.span[START], a.span[PACE] = -np.inf, 1.0  # no lap yet: everything is later than it
    a.mark[:] = 0
    a.mark[OPEN], a.mark[FREE] = len(a.head) - 1, -1
    for agent in range(len(a.due)):
        if -np.inf < a.due[agent] < np.inf:
            enter(a, agent, a.due[agent])


@inlined
def make_room(a: Agenda, more: int) -> None:
    """See to it that `more` entries can be made."""
    if len(a.near) - max(a.mark[USED], a.mark[HEAPED]) < more:
        _enter_all(a)


@inlined
def bucket_of(a: Agenda, time: float) -> int:
    """Its bucket in this lap, the last one for what comes later."""
    last = len(a.head) - 1
    offset = (time - a.span[START]) * a.span[PACE]
    return int(offset) if offset < last else last


@inlined
def enter(a: Agenda, agent: int, time: float) -> None:
    """The agent is due at `time`, which is not before the last one taken, and at no other time."""
    a.due[agent] = time
    last = len(a.head) - 1
    bucket = bucket_of(a, time)
    if bucket <= a.mark[OPEN] and a.mark[OPEN] < last:
        _push(a, agent, time)
        return
    a.mark[USED] += 1
    a.mark[IN_LAP] += bucket < last
    _write(a, agent, bucket)


@inlined
def _write(a: Agenda, agent: int, bucket: int) -> None:
    """Put a name on the leaf of a bucket, or on a new one."""
    at = a.head[bucket] + 1
    if at % LEAF == 0:
        leaf = a.mark[FREE]
        if leaf >= 0:
            a.mark[FREE] = a.waiting[leaf * LEAF]
        else:
            leaf = a.mark[FRESH]
            a.mark[FRESH] += 1
        a.waiting[leaf * LEAF] = at // LEAF - 1
        at = leaf * LEAF + 1
    a.waiting[at] = agent
    a.head[bucket] = at


@inlined
def _tear(a: Agenda, at: int) -> int:
    """Free the leaf that ends at entry `at`; the last entry on the leaf before it, −1 if there is none."""
    leaf = at // LEAF
    before = a.waiting[leaf * LEAF]
    a.waiting[leaf * LEAF] = a.mark[FREE]
    a.mark[FREE] = leaf
    return before * LEAF + LEAF - 1


@inlined
def ready(a: Agenda) -> bool:
    """Bring the earliest to the top of the heap; whether there is any."""
    last = len(a.head) - 1
    while True:
        while a.mark[HEAPED] > 0:
            if a.due[a.near[0].agent] == a.near[0].time:
                return True
            _drop(a)
        if a.mark[IN_LAP] > 0:
            a.mark[OPEN] += 1
        elif a.mark[USED] > 0:
            _begin_lap(a)
        else:
            return False
        if a.mark[OPEN] < last:
            _open(a, a.mark[OPEN])


@inlined
def take(a: Agenda) -> tuple[int, float]:
    """Take the earliest off, agent and time."""
    agent, time = a.near[0].agent, a.near[0].time
    a.due[agent], a.span[NOW] = -np.inf, time
    _drop(a)
    return agent, time


@inlined
def _drop(a: Agenda) -> None:
    """Take the top of the heap off."""
    near = a.near
    n = a.mark[HEAPED] - 1
    a.mark[HEAPED] = n
    time, agent = near[n].time, near[n].agent
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and near[child + 1].time < near[child].time:
            child += 1
        if near[child].time >= time:
            break
        near[i].time, near[i].agent = near[child].time, near[child].agent
        i = child
    near[i].time, near[i].agent = time, agent


@inlined
def _push(a: Agenda, agent: int, time: float) -> None:
    near = a.near
    i = a.mark[HEAPED]
    a.mark[HEAPED] = i + 1
    while i > 0:
        parent = (i - 1) // 2
        if near[parent].time <= time:
            break
        near[i].time, near[i].agent = near[parent].time, near[parent].agent
        i = parent
    near[i].time, near[i].agent = time, agent


@compiled
def _open(a: Agenda, bucket: int) -> None:
    """Put into the heap who is due in this bucket."""
    # Names first and times after: the memory they stand in is then fetched side by side.
    n, at, near = 0, a.head[bucket], a.near
    a.head[bucket] = -1
    while at >= 0:
        for i in range(at - at % LEAF + 1, at + 1):
            near[n].agent = a.waiting[i]
            n += 1
        at = _tear(a, at)
    a.mark[USED] -= n
    a.mark[IN_LAP] -= n
    for i in range(n):
        near[i].time = a.due[near[i].agent]
    for i in range(n):
        agent, time = near[i].agent, near[i].time
        if time > -np.inf and bucket_of(a, time) == bucket:
            _push(a, agent, time)


@compiled
def _begin_lap(a: Agenda) -> None:
    """Fit a lap of buckets to those who wait beyond the old one, which is over."""
    last, now = len(a.head) - 1, a.span[NOW]
    first, total, n = np.inf, 0.0, 0
    at = a.head[last]
    while at >= 0:
        for i in range(at - at % LEAF + 1, at + 1):
            time = a.due[a.waiting[i]]
            if -np.inf < time < np.inf:
                first = min(first, time)
                total += time - now
                n += 1
        at = a.waiting[at - at % LEAF] * LEAF + LEAF - 1
    # Where all wait for this very moment, a lap of no width takes them, and the next one is fitted to what they bring.
    wide = LAP * total / max(n, 1)
    a.span[START], a.span[PACE] = first, min(last / wide, FASTEST) if wide > 0.0 else FASTEST
    a.mark[OPEN] = 0
    at = a.head[last]
    a.head[last] = -1
    while at >= 0:
        for i in range(at - at % LEAF + 1, at + 1):
            time = a.due[a.waiting[i]]
            if -np.inf < time < np.inf:
                bucket = bucket_of(a, time)
                a.mark[IN_LAP] += bucket < last
                _write(a, a.waiting[i], bucket)
            else:
                a.mark[USED] -= 1
        at = _tear(a, at)
