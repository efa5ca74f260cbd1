"""Beliefs: how an opinion moves with the opinions that are heard. Laws of opinion dynamics, on a network or in a world.

Each law is one array step over what a group heard, `law.step(opinion, heard, anchor)`. `Heard.along(network, opinion)` and
`Heard.of(matrix, opinion)` make that everybody's neighbours, so that the same step is the synchronous model of the literature; in
a world it is the opinions stated in an inbox. Opinions are numbers of any interval: nobody leaves the interval that all are in.
Survey: Proskurnikov & Tempo 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.affect import mean_heard
from contagium.envs.network import Network
from contagium.envs.rng import Streams

if TYPE_CHECKING:
    from scipy.sparse import sparray

Floats = NDArray[np.float64]
ROUNDING = 1e-12
"""An opinion that far beyond the bound is at the bound: equispaced opinions sit on it exactly, but for their last digits."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Opinions that n agents heard. reader: (m,) row of the agent in 0…n−1. opinion: (m,), NaN for a statement of none.

    weight: (m,) ≥ 0, how much each counts. draw: (n,) uniform in [0, 1), for laws that listen to one at a time.
    """

    reader: NDArray[np.int64]
    opinion: Floats
    weight: Floats
    draw: Floats | None = None

    def __post_init__(self) -> None:
        if not len(self.reader) == len(self.opinion) == len(self.weight):
            lengths = f"{len(self.reader)}, {len(self.opinion)} and {len(self.weight)}"
            raise ValueError(f"reader, opinion and weight must have equal length, got {lengths}")

    @classmethod
    def along(cls, network: Network, opinion: Floats, draw: Floats | None = None) -> Heard:
        """Everybody hears all its neighbours of the network; opinion: (N,). ValueError: of another size."""
        if np.shape(opinion) != (network.size,):
            raise ValueError(f"opinion must be one number for each of {network.size} agents, got shape {np.shape(opinion)}")
        return cls(network.target, opinion[network.source], network.weight, draw)

    @classmethod
    def of(cls, matrix: sparray | Floats, opinion: Floats, draw: Floats | None = None) -> Heard:
        """Agent i hears agent j with the weight matrix[i, j], itself by the diagonal; rows need not add up to 1.

        ValueError: the matrix is not (n, n) for opinions (n,), or a weight is negative, infinite or NaN.
        """
        from scipy.sparse import coo_array  # worth its time only where there is a matrix

        entries = coo_array(matrix)
        if entries.shape != (len(opinion), len(opinion)):
            raise ValueError(f"the matrix must be ({len(opinion)}, {len(opinion)}), got shape {entries.shape}")
        wrong = entries.data[~((entries.data >= 0) & np.isfinite(entries.data))]
        if len(wrong):
            raise ValueError(f"weights must be at least 0 and finite, got {wrong[0]}")
        return cls(entries.row.astype(np.int64), opinion[entries.col], entries.data.astype(np.float64), draw)

    def only(self, some: NDArray[np.bool_]) -> Heard:
        return Heard(self.reader[some], self.opinion[some], self.weight[some], self.draw)


@runtime_checkable
class Belief(Protocol):
    """A law of opinions.

    opinion: (n,). anchor: (n,), the opinion an agent started with or was given. susceptibility: (n,) or one number ≥ 0,
    multiplies what is taken in, up to all of it. An agent's new opinion depends on nothing but its own and what it heard itself.
    """

    def step(self, opinion: Floats, heard: Heard, anchor: Floats, susceptibility: Floats | float = 1.0) -> Floats: ...


@dataclass(frozen=True)
class DeGroot:
    """An agent moves the share `pull` of the way to the mean of what it heard; who heard nothing stays.

    With pull 1 and a row-stochastic matrix, opinion' = W·opinion. On a network without the diagonal a pull of 1 lets two
    agents swap opinions for ever; a smaller one is the weight that the rest, one's own opinion, keeps. Source: DeGroot 1974.
    """

    pull: float = 1.0

    def __post_init__(self) -> None:
        _check_share("pull", self.pull)

    def step(self, opinion: Floats, heard: Heard, anchor: Floats, susceptibility: Floats | float = 1.0) -> Floats:
        return opinion + _share(self.pull, susceptibility) * (_mean(opinion, heard) - opinion)


@dataclass(frozen=True)
class FriedkinJohnsen:
    """An agent takes the mean of what it heard with the share `pull` × susceptibility, and its anchor with the rest.

    opinion' = A·W·opinion + (1 − A)·anchor. Who heard nothing hears itself. Source: Friedkin & Johnsen 1990.
    """

    pull: float = 0.8

    def __post_init__(self) -> None:
        _check_share("pull", self.pull)

    def step(self, opinion: Floats, heard: Heard, anchor: Floats, susceptibility: Floats | float = 1.0) -> Floats:
        return anchor + _share(self.pull, susceptibility) * (_mean(opinion, heard) - anchor)


@dataclass(frozen=True)
class HegselmannKrause:
    """An agent moves to the mean of its own opinion (weight 1) and of those it heard that are at most `bound` from it.

    Source: Hegselmann & Krause 2002.
    """

    bound: float = 0.2

    def __post_init__(self) -> None:
        _check_bound(self.bound)

    def step(self, opinion: Floats, heard: Heard, anchor: Floats, susceptibility: Floats | float = 1.0) -> Floats:
        near = heard.only(np.abs(heard.opinion - opinion[heard.reader]) <= self.bound + ROUNDING)
        weight = np.bincount(near.reader, near.weight, minlength=len(opinion))
        away = np.bincount(near.reader, near.weight * (near.opinion - opinion[near.reader]), minlength=len(opinion))
        return opinion + _share(1.0, susceptibility) * away / (1.0 + weight)

    def gather(self, opinion: Floats, susceptibility: Floats | float = 1.0) -> Floats:
        """The step where everybody hears everybody with weight 1, in n log n: the near are a run of the sorted opinions."""
        order = np.argsort(opinion, kind="stable")
        ranked = opinion[order]
        sums = np.concatenate([[0.0], np.cumsum(ranked)])
        low = np.searchsorted(ranked, ranked - (self.bound + ROUNDING), side="left")
        high = np.searchsorted(ranked, ranked + (self.bound + ROUNDING), side="right")
        mean = np.empty_like(opinion)
        mean[order] = (sums[high] - sums[low]) / (high - low)
        return opinion + _share(1.0, susceptibility) * (mean - opinion)


@dataclass(frozen=True)
class Deffuant:
    """An agent listens to one opinion at a time and goes the share `pull` of the way to it if it is less than `bound` away.

    pull: in [0, 0.5], the convergence parameter μ; at 0.5 two who meet agree. Source: Deffuant et al. 2000.
    """

    bound: float = 0.2
    pull: float = 0.5

    def __post_init__(self) -> None:
        _check_bound(self.bound)
        if not 0 <= self.pull <= 0.5:
            raise ValueError(f"pull must be in [0, 0.5], got {self.pull}")

    def step(self, opinion: Floats, heard: Heard, anchor: Floats, susceptibility: Floats | float = 1.0) -> Floats:
        """Each agent listens to one of the opinions it heard, drawn in proportion to weight by its `heard.draw`."""
        picked = _one_each(heard, len(opinion))
        return opinion + _share(self.pull, susceptibility) * self._towards(picked, opinion)

    def encounter(self, opinion: Floats, one: NDArray[np.int64], other: NDArray[np.int64]) -> Floats:
        """Opinions (N,) after the agents one (p,) met the agents other (p,), each agent in one pair at most: both move."""
        met = np.concatenate([one, other])
        times = np.bincount(met, minlength=len(opinion))
        if times.max(initial=0) > 1:
            raise ValueError(
                f"an agent can be in one pair of an encounter at most, got agent {times.argmax()} {times.max()} times"
            )
        after = opinion.copy()
        after[met] += self.pull * self._towards(np.concatenate([opinion[other], opinion[one]]), opinion[met])
        return after

    def _towards(self, heard: Floats, opinion: Floats) -> Floats:
        gap = heard - opinion
        return np.where(np.abs(gap) < self.bound, gap, 0.0)


def matching(size: int, streams: Streams, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Who meets whom at `step` in a population that mixes at random: all in pairs, but one where `size` is odd."""
    order = streams.generator("encounter", step).permutation(size)
    half = size // 2
    return order[:half], order[half : 2 * half]


def clusters(opinion: Floats, apart: float) -> tuple[Floats, NDArray[np.int64]]:
    """Mean opinion and number of agents of each cluster, ascending; a gap of more than `apart` parts two clusters."""
    ranked = np.sort(opinion)
    begin = np.concatenate([[0], np.flatnonzero(np.diff(ranked) > apart) + 1])[: len(ranked)]
    sizes = np.diff(np.append(begin, len(ranked)))
    return np.add.reduceat(ranked, begin) / sizes if len(ranked) else ranked, sizes


def within(own: Floats, stated: Floats, bound: float) -> NDArray[np.bool_]:
    """Which stated opinions (m,) are at most `bound` from the hearer's own (m,). What states none (NaN) is nobody's opposite."""
    return ~(np.abs(stated - own) > bound + ROUNDING)


def _mean(opinion: Floats, heard: Heard) -> Floats:
    mean = mean_heard(heard.reader, heard.opinion[:, None], heard.weight, len(opinion))[:, 0]
    return np.where(np.isnan(mean), opinion, mean)


def _one_each(heard: Heard, size: int) -> Floats:
    """One opinion for each of `size` agents, drawn in proportion to weight; NaN for who heard none. Shape (size,)."""
    if heard.draw is None or len(heard.draw) != size:
        got = "none" if heard.draw is None else len(heard.draw)
        raise ValueError(f"to listen to one at a time takes a draw for each of {size} agents, got {got}")
    known = heard.only(~np.isnan(heard.opinion) & (heard.weight > 0))
    order = np.argsort(known.reader, kind="stable")
    reader, total = known.reader[order], np.bincount(known.reader, known.weight, minlength=size)
    # Shares in whole numbers add up without rounding: what one agent hears cannot tip another's draw.
    running = np.concatenate([[0], np.cumsum(np.ceil(known.weight[order] / total[reader] * 2**32).astype(np.int64))])
    edges = np.concatenate([[0], np.cumsum(np.bincount(reader, minlength=size))])
    begin, end = running[edges[:-1]], running[edges[1:]]
    at = begin + (heard.draw * (end - begin)).astype(np.int64)
    picked, any_heard = np.full(size, np.nan), end > begin
    picked[any_heard] = known.opinion[order][np.searchsorted(running, at[any_heard], side="right") - 1]
    return picked


def _share(pull: float, susceptibility: Floats | float) -> Floats:
    return np.minimum(pull * np.asarray(susceptibility, dtype=np.float64), 1.0)


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be a share in [0, 1], got {value}")


def _check_bound(bound: float) -> None:
    if not 0 <= bound < math.inf:
        raise ValueError(f"bound must be non-negative and finite, got {bound}")
