"""A crowd: everybody hears all its neighbours at each step, affect and a contagion move at once, and no messages are made."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contagium.agents.mechanistic.affect import Affect
from contagium.agents.mechanistic.contagion import ContagionModel
from contagium.agents.mechanistic.crowd import kernels
from contagium.agents.mechanistic.crowd.kernels import BLOCK, MOST_HEARD, Body, Shown, Ties
from contagium.agents.mechanistic.crowd.rules import rules
from contagium.envs.network import Network
from contagium.envs.rng import Streams

NARROWEST, WIDEST = 2**12, 2**17
"""Agents in a tile: few enough for their sums to stay in a cache, enough to hear most of the memory that is read for them."""
MOST_PUSH = 1e30
"""Far more than bounds let through, and short of what float32 can hold."""


class Crowd:
    """N agents on a network who hear all their neighbours at each step, all at once, with no messages in between.

    Affect (N, 3) relaxes and is pulled to the weighted mean of what the neighbours express, as in `Affect.step`; expressed is
    affect × expressiveness, clipped. Compartments (N,) follow `model`: each infectious neighbour adds rate × weight to the
    hazard of an agent, times its susceptibility, times exp(sway · its affect); all options race, and one comes within a step
    with the probability 1 − exp(−hazard × dt). Both go by what was shown, and by what the agent was, as the step began. A run
    depends on nothing but its streams, whatever the threads.

    What is heard is rounded, unless `exact`: an expressed axis to the nearest of 1,023 levels, −1, 0 and 1 among them, so that
    the mean an agent hears is wrong by at most q = 1/1,022 (and float32's 1e-6). With e_t the largest error of affect after t
    steps and c = contagion × the largest susceptibility, at most 1 − relaxation: e_{t+1} ≤ (1 − relaxation) e_t + c q, for the
    mean of what is heard carries an error on at most whole (expressiveness ≤ 1, no colouring). So the error never exceeds c q /
    relaxation, and without relaxation c q a step. Compartments are the same, to the byte, as with exact=True as long as `sway`
    is 0.

    dt: units of the model's time in a step. baseline: (3,) or (N, 3). susceptibility, expressiveness: ≥ 0, one number or (N,).
    sway: log hazard per unit of valence, arousal and dominance. exact: plain numbers, 2 to 9 times slower, needed for weighted
    networks, layers, more than 65,535 neighbours and models with more than two kinds of source. Memory beside the network, in
    bytes an agent: 26, 12 more for personal baselines, and 8 a neighbour. ValueError: a model with non-linear responses or
    dwell times that are not exponential, a mechanism of affect that a crowd has not, or a network whose signals cannot be added
    up.
    """

    def __init__(
        self,
        network: Network,
        model: ContagionModel,
        law: Affect,
        streams: Streams,
        *,
        dt: float = 1.0,
        baseline: ArrayLike = 0.0,
        susceptibility: ArrayLike = 1.0,
        expressiveness: ArrayLike = 1.0,
        sway: tuple[float, float, float] = (0.0, 0.0, 0.0),
        exact: bool = False,
        threads: int = 1,
    ) -> None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        size = self._size = network.size
        self._codes, self._loss_aversion = len(model.compartments), law.loss_aversion
        self._rules = rules(model, network.layers, law, dt, sway, exact)
        self._body = Body(
            np.empty((3, size), dtype=np.float32),
            _column(_triples("baseline", baseline, size)),
            _column(_amounts("expressiveness", expressiveness, size)),
            _column(_amounts("susceptibility", susceptibility, size)),
        )
        self._exact, self._ties = exact, _plain(network) if exact else _tiled(network)
        self._key, self._parts = np.uint64(streams.key("crowd")), _parts(self._ties, threads)
        self._shown, self._next = (_blank(size, exact) for _ in range(2))
        self.reset()

    def reset(self, compartment: NDArray[np.int8] | None = None, affect: ArrayLike | None = None) -> None:
        """Begin at step 0. compartment: (N,), by default all 0; affect: one number, (3,) or (N, 3), by default the baseline."""
        start = np.zeros(self._size, dtype=np.int8) if compartment is None else np.asarray(compartment)
        if start.shape != (self._size,):
            raise ValueError(f"compartment must have shape ({self._size},), got {start.shape}")
        if not np.issubdtype(start.dtype, np.integer) or not 0 <= start.min() <= start.max() < self._codes:
            raise ValueError(f"compartments must be codes 0 to {self._codes - 1}, got {start.min()} to {start.max()}")
        resting = self._body.baseline if self._body.baseline.shape[1] == self._size else self._body.baseline[:, :1]
        self._body.affect[:] = resting if affect is None else _triples("affect", affect, self._size).T
        self._shown.compartment[:] = start
        self.steps = 0
        self._show()

    def step(self, n: int = 1, push: ArrayLike | None = None) -> None:
        """Take n steps, 1 or more.

        push: (3,) or (N, 3), what an event adds to affect in the first, bad news weighed by loss aversion.
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        news = None if push is None else _triples("push", push, self._size, most=MOST_PUSH)
        if len(self._parts) == 1:
            self._steps(n, news, map)
        else:
            with ThreadPoolExecutor(len(self._parts)) as pool:
                self._steps(n, news, pool.map)

    @property
    def affect(self) -> NDArray[np.float32]:
        """Valence, arousal and dominance of each agent in [−1, 1], shape (N, 3); a copy."""
        return np.ascontiguousarray(self._body.affect.T)

    @property
    def compartment(self) -> NDArray[np.int8]:
        """Code of each agent's compartment, shape (N,); a copy."""
        return self._shown.compartment.copy()

    @property
    def counts(self) -> NDArray[np.int64]:
        """Agents in each compartment of the model, shape (C,)."""
        return np.bincount(self._shown.compartment, minlength=self._codes)

    def _steps(self, n: int, news: NDArray[np.float32] | None, each: Callable[..., Iterable[None]]) -> None:
        for _ in range(n):
            list(each(self._sweep, self._parts))
            self._shown, self._next = self._next, self._shown
            self.steps += 1
            if news is not None:
                self._push(news)
                news = None

    def _sweep(self, part: tuple[int, int]) -> None:
        state = (self._ties, self._rules, self._body, self._shown, self._next)
        kernels.sweep(*part, self._exact, *state, self._key, np.uint64(self.steps))

    def _push(self, news: NDArray[np.float32]) -> None:
        """Without a push affect is within its bounds, so to add it after the step is to add it in the step."""
        for affect, push in zip(self._body.affect, news.T, strict=True):
            affect += push
        valence, bad = self._body.affect[0], np.minimum(news[:, 0], 0)
        valence += (self._loss_aversion - 1.0) * bad
        np.clip(self._body.affect, -1.0, 1.0, out=self._body.affect)
        self._show()

    def _show(self) -> None:
        kernels.show_all(self._exact, self._rules.bits, self._body, self._shown)


def _amounts(name: str, given: ArrayLike, size: int) -> NDArray[np.float32]:
    """A number of at least 0 for each agent, shape (N,)."""
    values = np.asarray(given, dtype=np.float32)
    if values.shape not in ((), (size,)):
        raise ValueError(f"{name} must be one number or {size}, got shape {values.shape}")
    wrong = ~((values >= 0) & np.isfinite(values))
    if np.any(wrong):
        raise ValueError(f"{name} must be at least 0 and finite, got {values[wrong].flat[0]}")
    return np.broadcast_to(values, size)


def _triples(name: str, given: ArrayLike, size: int, most: float = 1.0) -> NDArray[np.float32]:
    """Valence, arousal and dominance of each agent, shape (N, 3), each at most `most` in size."""
    values = np.asarray(given, dtype=np.float32)
    if values.shape not in ((), (3,), (size, 3)):
        raise ValueError(f"{name} must be one number, three, or of shape ({size}, 3), got shape {values.shape}")
    wrong = ~(np.abs(values) <= most)
    if np.any(wrong):
        raise ValueError(f"{name} must be in [{-most:g}, {most:g}], got {values[wrong].flat[0]}")
    return np.broadcast_to(values, (size, 3))


def _column(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values of all agents (N, …) as a column (…, N) of `Body`, or of BLOCK where all are alike."""
    alike = values.strides[0] == 0 and len(values) > BLOCK
    return np.ascontiguousarray((values[:BLOCK] if alike else values).T)


def _blank(size: int, exact: bool) -> Shown:
    signals, plain = (0, size) if exact else (size, 0)
    return Shown(np.empty(signals, np.uint32), np.empty((plain, 4), np.float32), np.empty(size, np.int8))


def _width(size: int) -> int:
    """Agents in a tile: about a 64th of all, so that a tile's edges touch most of the signals."""
    return int(np.clip(1 << (size // 64).bit_length(), NARROWEST, WIDEST))


def _plain(network: Network) -> Ties:
    """Edges as they are in the network."""
    width, nothing = _width(network.size), np.empty(0, dtype=np.uint32)
    weight = np.empty(0) if network.unweighted else network.weight
    layer = np.empty(0, dtype=np.int8) if network.layer is None else network.layer
    begin = network.indptr[np.minimum(np.arange(0, network.size + width, width), network.size)]
    degree = network.in_degree.astype(np.int32)
    return Ties(network.indptr, network.source, weight, layer, degree, width, begin, nothing, nothing)


def _tiled(network: Network) -> Ties:
    """Edges by tile of who hears, and by source within it."""
    if not network.unweighted:
        raise ValueError("signals carry no weights: a weighted network needs exact=True")
    degree = network.in_degree.astype(np.int32)
    if degree.max() > MOST_HEARD:
        raise ValueError(f"signals of at most {MOST_HEARD:,} neighbours add up, got {degree.max():,}: choose exact=True")
    ties, edges = _plain(network), len(network.source)
    heard, hearer = np.empty(edges, dtype=np.uint32), np.empty(edges, dtype=np.uint32)
    indptr, target, _ = network.hearers
    begin = np.zeros(len(ties.begin), dtype=np.int64)
    kernels.tile(indptr, target, ties.width, begin, heard, hearer)
    return ties._replace(begin=begin, heard=heard, hearer=hearer)


def _parts(ties: Ties, threads: int) -> list[tuple[int, int]]:
    """Tiles from and to which each thread works, of about equal cost: an agent costs as much as eight edges."""
    cost = ties.begin + 8 * ties.width * np.arange(len(ties.begin))
    cuts = np.searchsorted(cost, np.linspace(0, cost[-1], threads + 1))
    return [(first, last) for first, last in itertools.pairwise(cuts.tolist()) if first < last]
