"""Kernels of the crowd: one step of affect and compartments for everybody.

An agent shows a signal of 32 bits: valence, arousal and dominance with 10 bits each, and a bit for each of two kinds of source.
Two 64-bit words add up what up to 65,535 neighbours show, in whole numbers: no order of neighbours can change a result.

Signals are heard tile by tile. The edges into a tile of agents lie sorted by source, so that a step reads signals in ascending
order, which memory is good at, and adds them up in words that stay in the cache (after propagation blocking, Beamer et al.
2017).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.kernels import threefry, unit
from contagium.envs.compiled import kernel

LEVELS = 511
"""Steps a signal has from neutral to an extreme; neutral (0) and both extremes (−1, 1) are held exactly."""
ZERO = 512
"""The level of a neutral signal."""
KINDS = 2
"""Kinds of source a signal has bits for."""
MOST_HEARD = 65_535
"""Neighbours up to which the sums of signals have room."""
BLOCK = 512
"""Agents that are taken through a step together, so that what is in between stays in the first cache."""

# Bits of a signal: valence 0–9, arousal 10–19, the kinds 20 and 21, dominance 22–31. Spread over two words of 64 bits, each
# has at least 16 bits of room to grow in: valence at 0 and dominance at 38; arousal at 0, the kinds at 26 and 42.
PLACES = (0, 10, 22)
KIND_BITS = (20, 21)
_OVER, _FELT = np.uint64(16), np.uint64(0x3FF | 0x3FF << 38)
_DOWN, _MIDDLE, _THRICE = np.uint64(10), np.uint64(0xFFF), np.uint64(1 | 1 << 16 | 1 << 31)
_REST = np.uint64(0x3FF | 1 << 26 | 1 << 42)


class Ties(NamedTuple):
    """Who hears whom. By agent: indptr (N + 1,), source, weight, layer as in a network, degree (N,) int32.

    By tile of `width` agents, for signals: edges begin[t]:begin[t + 1] of tile t, sorted by their source, `heard` (E,) uint32,
    with the place in the tile of who hears it, `hearer` (E,) uint32.
    """

    indptr: NDArray[np.int64]
    source: NDArray[np.int32]
    weight: NDArray[np.float64]
    layer: NDArray[np.int8]
    degree: NDArray[np.int32]
    width: int
    begin: NDArray[np.int64]
    heard: NDArray[np.uint32]
    hearer: NDArray[np.uint32]


class Rules(NamedTuple):
    """What moves affect and compartments in a step.

    An agent of compartment c has the options first[c]:first[c + 1], each with target (O,) int8 and hazard base (O,) + scale ×
    slope (O, K) · dose (K,). member: (K, C) float64, 1 where a compartment is of a kind of source; layer: (K,) int8, where it
    counts, −1: everywhere; bits: (C,) uint32, what a signal shows of it. relaxation, contagion, colouring: float32. sway: (3,)
    float64.
    """

    first: NDArray[np.int64]
    target: NDArray[np.int8]
    base: NDArray[np.float64]
    slope: NDArray[np.float64]
    member: NDArray[np.float64]
    layer: NDArray[np.int8]
    bits: NDArray[np.uint32]
    relaxation: np.float32
    contagion: np.float32
    colouring: np.float32
    sway: NDArray[np.float64]


class Body(NamedTuple):
    """What each agent is, all float32: affect (3, N), baseline (3, N), expressive, susceptible (N,).

    A column of all but affect that is the same for everybody may have BLOCK entries in place of N: memory that need not be read.
    """

    affect: NDArray[np.float32]
    baseline: NDArray[np.float32]
    expressive: NDArray[np.float32]
    susceptible: NDArray[np.float32]


class Shown(NamedTuple):
    """What others can see: signal (N,) uint32, or in its place plain (N, 4) float32, affect and compartment side by side.

    compartment: (N,) int8.
    """

    signal: NDArray[np.uint32]
    plain: NDArray[np.float32]
    compartment: NDArray[np.int8]


@kernel
def tile(indptr, hearers, width, begin, heard, hearer):  # type: ignore[no-untyped-def]
    """Fill the columns by tile of `Ties` from who hears each agent: hearers (E,) by indptr (N + 1,)."""
    begin[:] = 0
    for who in hearers:
        begin[who // width + 1] += 1
    for t in range(1, len(begin)):
        begin[t] += begin[t - 1]
    free = begin.copy()
    for i in range(len(indptr) - 1):
        for e in range(indptr[i], indptr[i + 1]):
            t = hearers[e] // width
            heard[free[t]], hearer[free[t]] = i, hearers[e] - t * width
            free[t] += 1


@kernel
def sweep(first, last, exact, ties, rules, body, old, new, key, step):  # type: ignore[no-untyped-def]
    """One step of tiles `first` to `last` − 1: they hear what `old` shows, move, and show it in `new`. exact: plain numbers."""
    heard, dose = np.empty((3, BLOCK), dtype=np.float32), np.empty((max(len(rules.layer), KINDS), BLOCK))
    scale, pull = np.empty(BLOCK), np.empty(BLOCK, dtype=np.float32)
    when, which = np.empty(BLOCK, dtype=np.uint64), np.empty(BLOCK, dtype=np.uint64)
    sums = np.empty((0 if exact else ties.width, 2), dtype=np.uint64)
    for t in range(first, last):
        begin, end = t * ties.width, min((t + 1) * ties.width, len(ties.degree))
        if not exact:
            _add(ties.begin[t], ties.begin[t + 1], ties.heard, ties.hearer, old.signal, sums)
        for at in range(begin, end, BLOCK):
            size = min(BLOCK, end - at)
            if exact:
                _hear(at, size, ties, rules, old, heard, dose)
            else:
                _mean(at - begin, size, ties.degree[at : at + size], sums, heard, dose)
            _draw(at, size, key, step, when, which)
            _open(at, size, ties.degree, rules, body, scale, pull)
            for axis in range(3):
                _feel(at, size, axis, rules, body, pull, heard[axis])
            _move(at, size, rules, dose, scale, when, which, old.compartment, new.compartment)
            show(at, size, exact, rules.bits, body, new)


@kernel
def _add(begin, end, heard, hearer, signal, sums):  # type: ignore[no-untyped-def]
    """The signals that each agent of a tile hears, added up in two words each."""
    sums[:] = 0
    for e in range(np.uint64(begin), np.uint64(end)):
        word, who = np.uint64(signal[heard[e]]), hearer[e]
        sums[who, 0] += (word | word << _OVER) & _FELT
        sums[who, 1] += (word >> _DOWN & _MIDDLE) * _THRICE & _REST


@kernel
def _mean(place, size, degree, sums, heard, dose):  # type: ignore[no-untyped-def]
    """Mean affect heard (3, size) and number of sources of each kind (2, size), from the sums at `place` in the tile."""
    for j in range(size):
        felt, rest, n = sums[place + j, 0], sums[place + j, 1], np.int64(degree[j])
        share, neutral = np.float32(1.0) / np.float32(LEVELS * (n if n > 0 else 1)), ZERO * n
        heard[0, j] = np.float32(np.int64(felt & np.uint64(0x3FFFFFF)) - neutral) * share
        heard[1, j] = np.float32(np.int64(rest & np.uint64(0x3FFFFFF)) - neutral) * share
        heard[2, j] = np.float32(np.int64(felt >> np.uint64(38)) - neutral) * share
        dose[0, j] = rest >> np.uint64(26) & np.uint64(0xFFFF)
        dose[1, j] = rest >> np.uint64(42)


@kernel
def _hear(at, size, ties, rules, old, heard, dose):  # type: ignore[no-untyped-def]
    """Weighted mean affect heard (3, size) and weight of each kind of source (K, size), summed in the order of the edges."""
    for j in range(size):
        valence = arousal = dominance = total = 0.0
        dose[:, j] = 0.0
        for e in range(ties.indptr[at + j], ties.indptr[at + j + 1]):
            w = ties.weight[e] if len(ties.weight) else 1.0
            who = old.plain[ties.source[e]]
            valence += w * who[0]
            arousal += w * who[1]
            dominance += w * who[2]
            total += w
            for k in range(len(rules.layer)):
                if rules.layer[k] < 0 or rules.layer[k] == ties.layer[e]:
                    dose[k, j] += w * rules.member[k, np.uint8(who[3])]
        share = 1.0 / total if total > 0.0 else 0.0
        heard[0, j], heard[1, j], heard[2, j] = share * valence, share * arousal, share * dominance


@kernel
def _part(column, at, size, everybody):  # type: ignore[no-untyped-def]
    """The entries of agents `at` to `at + size` − 1."""
    begin = at if len(column) == everybody else 0
    return column[begin : begin + size]


@kernel
def _draw(at, size, key, step, when, which):  # type: ignore[no-untyped-def]
    for j in range(size):
        when[j], which[j] = threefry(key, step, np.uint64(at + j), np.uint64(0))


@kernel
def _open(at, size, degree, rules, body, scale, pull):  # type: ignore[no-untyped-def]
    """How open agents are: to what is caught, susceptibility × exp(sway · affect); to what is felt, 0 where nobody is heard."""
    sway, left = rules.sway, np.float32(1.0) - rules.relaxation
    susceptible = _part(body.susceptible, at, size, len(degree))
    for j in range(size):
        scale[j] = susceptible[j]
        pull[j] = min(rules.contagion * susceptible[j], left) if degree[at + j] > 0 else np.float32(0.0)
    if sway[0] != 0.0 or sway[1] != 0.0 or sway[2] != 0.0:
        for j in range(size):
            i = at + j
            scale[j] *= math.exp(sway[0] * body.affect[0, i] + sway[1] * body.affect[1, i] + sway[2] * body.affect[2, i])


@kernel
def _feel(at, size, axis, rules, body, pull, heard):  # type: ignore[no-untyped-def]
    """Affect relaxes to the baseline and is pulled to what was heard."""
    one, affect = np.float32(1.0), body.affect[axis, at : at + size]
    baseline = _part(body.baseline[axis], at, size, body.affect.shape[1])
    if axis == 0 and rules.colouring > 0.0:
        for j in range(size):
            heard[j] += rules.colouring * (affect[j] - abs(affect[j]) * heard[j])
    for j in range(size):
        felt = affect[j] + rules.relaxation * (baseline[j] - affect[j]) + pull[j] * (heard[j] - affect[j])
        affect[j] = min(max(felt, -one), one)


@kernel
def _move(at, size, rules, dose, scale, when, which, before, after):  # type: ignore[no-untyped-def]
    """All options of an agent race: one comes within the step with probability 1 − exp(−total hazard), by its share of it."""
    for j in range(size):
        code = before[at + j]
        begin, end = rules.first[code], rules.first[code + 1]
        total = 0.0
        for o in range(begin, end):
            total += _hazard(o, j, rules, dose, scale)
        u = unit(when[j])
        # 1 − exp(−x) lies between x − x²/2 and x: most draws need no exponential.
        if u < total and (u < total - 0.5 * total * total or u < -math.expm1(-total)):
            left = unit(which[j]) * total
            for o in range(begin, end):
                hazard = _hazard(o, j, rules, dose, scale)
                if hazard > 0.0:
                    code = rules.target[o]
                    left -= hazard
                    if left < 0.0:
                        break
        after[at + j] = code


@kernel
def _hazard(o, j, rules, dose, scale):  # type: ignore[no-untyped-def]
    caught = 0.0
    for k in range(len(rules.layer)):
        caught += rules.slope[o, k] * dose[k, j]
    return rules.base[o] + scale[j] * caught


@kernel
def show(at, size, exact, bits, body, shown):  # type: ignore[no-untyped-def]
    """At most BLOCK agents from `at` on show their affect × expressiveness, within [−1, 1], and their compartment."""
    one, levels, half = np.float32(1.0), np.float32(LEVELS), np.float32(ZERO + 0.5)
    expressive = _part(body.expressive, at, size, body.affect.shape[1])
    for j in range(size):
        if exact:
            shown.plain[at + j, 3] = shown.compartment[at + j]
        else:
            shown.signal[at + j] = bits[shown.compartment[at + j]]
    for axis in range(3):
        affect, place = body.affect[axis, at : at + size], np.uint32(PLACES[axis])
        for j in range(size):
            expressed = min(max(affect[j] * expressive[j], -one), one)
            if exact:
                shown.plain[at + j, axis] = expressed
            else:
                # Adding a half and cutting off rounds to the nearest level.
                shown.signal[at + j] |= np.uint32(np.int32(expressed * levels + half)) << place


@kernel
def show_all(exact, bits, body, shown):  # type: ignore[no-untyped-def]
    """Everybody shows what it is."""
    for at in range(0, body.affect.shape[1], BLOCK):
        show(at, min(BLOCK, body.affect.shape[1] - at), exact, bits, body, shown)
