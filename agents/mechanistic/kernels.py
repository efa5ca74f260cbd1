"""Keyed random numbers in compiled code: a draw is a function of its key and counter, so that no state has to be shared.

Threefry2x64 with 13 rounds turns two key words and two counter words into two random words. House use: k0 is the key of a stream
(`Streams.key`), k1 the step or the agent's stint, c0 the agent, c1 the number of the draw. A word each, so that no two draws
share key and counter by an accident of arithmetic. Where one key has to yield many draws, its first word starts a SplitMix64
sequence. Sources: Salmon et al. 2011 (Threefry); Steele, Lea & Flood 2014 (SplitMix64).

Compiled code is kept beside the source (numba's cache) or, where that cannot be written, in the user's cache folder.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.dwell import EXPONENTIAL, FIXED, GAMMA, WEIBULL
from contagium.envs.compiled import kernel

Word = np.uint64

compiled: Any = kernel(_nrt=False)
"""Compiles a kernel that makes no arrays. It keeps no count of references, which would take it a third of its time."""
inlined: Any = kernel(_nrt=False, forceinline=True)
"""The same for a part of kernels that is put in at every call: handing over records of arrays costs more than most of them do."""

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""The step of a SplitMix64 sequence: state i is the first state + i × GOLDEN, modulo 2⁶⁴."""

_PARITY = np.uint64(0x1BD11BDAA9FC1A22)
_TWO_TO_MINUS_53 = 2.0**-53


@kernel
def _turn(x: Word, y: Word, by: int) -> tuple[Word, Word]:
    """One round: add, rotate by `by` bits, exclusive or."""
    x = np.uint64(x + y)
    y = np.uint64((y << np.uint64(by)) | (y >> np.uint64(64 - by)))
    return x, np.uint64(y ^ x)


@kernel
def threefry(k0: Word, k1: Word, c0: Word, c1: Word) -> tuple[Word, Word]:
    """Two random words for the key (k0, k1) and the counter (c0, c1); whole numbers are taken modulo 2⁶⁴."""
    a, b = np.uint64(k0), np.uint64(k1)
    c = np.uint64(_PARITY ^ a ^ b)
    x, y = np.uint64(np.uint64(c0) + a), np.uint64(np.uint64(c1) + b)
    x, y = _turn(x, y, 16)
    x, y = _turn(x, y, 42)
    x, y = _turn(x, y, 12)
    x, y = _turn(x, y, 31)
    x, y = np.uint64(x + b), np.uint64(y + c + np.uint64(1))
    x, y = _turn(x, y, 16)
    x, y = _turn(x, y, 32)
    x, y = _turn(x, y, 24)
    x, y = _turn(x, y, 21)
    x, y = np.uint64(x + c), np.uint64(y + a + np.uint64(2))
    x, y = _turn(x, y, 16)
    x, y = _turn(x, y, 42)
    x, y = _turn(x, y, 12)
    x, y = _turn(x, y, 31)
    x, y = np.uint64(x + a), np.uint64(y + b + np.uint64(3))
    return _turn(x, y, 16)


@kernel
def mix(state: Word) -> Word:
    """The random word of a SplitMix64 state; the sequence goes on with state + GOLDEN."""
    z = np.uint64(state)
    z = np.uint64((z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9))
    z = np.uint64((z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB))
    return np.uint64(z ^ (z >> np.uint64(31)))


@kernel
def unit(word: Word) -> float:
    """A random word as a number in [0, 1), a multiple of 2⁻⁵³."""
    return np.float64(np.uint64(word) >> np.uint64(11)) * _TWO_TO_MINUS_53


@kernel
def uniform(k0: Word, k1: Word, c0: Word, c1: Word) -> float:
    """One draw in [0, 1) for the key (k0, k1) and the counter (c0, c1)."""
    return unit(threefry(k0, k1, c0, c1)[0])


@kernel
def uniforms(k0: Word, k1: Word, agents: NDArray[np.int64], draw: int) -> NDArray[np.float64]:
    """One draw in [0, 1) for each of `agents` (n,), counter (agent, draw). Shape (n,)."""
    out = np.empty(len(agents), dtype=np.float64)
    for i in range(len(agents)):
        out[i] = uniform(k0, k1, np.uint64(agents[i]), np.uint64(draw))
    return out


@kernel
def exponential(word: Word) -> float:
    """A standard exponential time of a random word, at most 36.8."""
    return -math.log(1.0 - unit(word))  # 1 − u is exact: u is a multiple of 2⁻⁵³


@kernel
def normal(state: Word) -> tuple[float, Word]:
    """A standard normal draw and the state to go on from. Source: Box & Muller 1958."""
    radius = math.sqrt(2.0 * exponential(mix(state)))
    angle = 2.0 * math.pi * unit(mix(np.uint64(state + GOLDEN)))
    return radius * math.cos(angle), np.uint64(state + GOLDEN + GOLDEN)


@kernel
def gamma(shape: float, state: Word) -> tuple[float, Word]:
    """A gamma draw of scale 1 and the state to go on from. Source: Marsaglia & Tsang 2000."""
    boost = 1.0
    if shape < 1.0:
        boost = (1.0 - unit(mix(state))) ** (1.0 / shape)
        state, shape = np.uint64(state + GOLDEN), shape + 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x, state = normal(state)
        v = (1.0 + c * x) ** 3
        u = 1.0 - unit(mix(state))
        state = np.uint64(state + GOLDEN)
        if v > 0.0 and math.log(u) < 0.5 * x * x + d - d * v + d * math.log(v):
            return boost * d * v, state


@kernel
def wait(code: int, c: float, d: float, state: Word) -> tuple[float, Word]:
    """A dwell time of the distribution `code` with its parameters as in `Tables`, and the state to go on from."""
    if code == EXPONENTIAL:
        return (exponential(mix(state)) / c if c > 0.0 else np.inf), np.uint64(state + GOLDEN)
    if code == FIXED:
        return c, np.uint64(state)
    if code == WEIBULL:
        return c * exponential(mix(state)) ** (1.0 / d), np.uint64(state + GOLDEN)
    if code == GAMMA:
        drawn, state = gamma(d, state)
        return c * drawn, state
    drawn, state = normal(state)
    return math.exp(c + d * drawn), state
