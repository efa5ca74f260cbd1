"""Large graphs from random numbers, and the memory they may take.

Rows are compressed: row i holds other[indptr[i]:indptr[i + 1]]. All but `transpose` deal with pairs that are tied both ways.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contagium.envs.compiled import compiled

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Ints = NDArray[np.int64]
Rows = tuple[NDArray[np.int64], NDArray[np.int32]]

INTERPRETED = 5_000
"""Agents up to whom a loop is not worth the second that the compiler takes to start. Both ways give the same graph."""
CHUNK = 2**20
"""Random numbers drawn at a time."""
ROUNDS = 1_000
"""Times that loops and doubles of a configuration model are undone before it counts as impossible."""


def memory_available(root: Path = Path("/")) -> int:
    """Bytes that can still be taken, by what the system and the process's control group say. root: where /proc and /sys are."""
    try:
        free = 1024 * int(_table(root / "proc/meminfo")["MemAvailable:"])
    except (OSError, KeyError):  # Not Linux: what there is in all.
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for version, limit, used, idle in (
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        group = root / "sys/fs/cgroup" / version
        try:
            most, taken = (int((group / name).read_text(encoding="ascii")) for name in (limit, used))
            # Files that were only read are counted as taken, but make room.
            free = min(free, most - taken + int(_table(group / "memory.stat")[idle]))
        except (OSError, KeyError, ValueError):  # No such group, or one without a limit.
            continue
    return max(0, free)


def _table(file: Path) -> dict[str, str]:
    return {line.split()[0]: line.split()[1] for line in file.read_text(encoding="ascii").splitlines() if line.strip()}


def transpose(
    indptr: NDArray[np.int64], other: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """The rows turned round, each ascending, and where each entry stood, (E,)."""
    turned = _matrix(indptr, other, np.arange(len(other))).T.tocsr()
    return turned.indptr.astype(np.int64), turned.indices.astype(np.int32, copy=False), turned.data


def both_ways(indptr: NDArray[np.int64], other: NDArray[np.int32]) -> Rows:
    """Each pair, given once and ascending in its row, entered in the rows of both."""
    once = _matrix(indptr, other, np.ones(len(other), dtype=np.int8))
    full = once + once.T.tocsr()
    return full.indptr.astype(np.int64), full.indices.astype(np.int32, copy=False)


def _matrix(indptr: NDArray[np.int64], other: NDArray[np.int32], data: NDArray[np.integer]) -> csr_array:
    from scipy.sparse import csr_array

    # SciPy wants row pointer and columns of one type, and would make the columns the wider one.
    narrow = indptr.astype(np.int32) if len(other) < 2**31 else indptr
    return csr_array((data, other, narrow), shape=(len(indptr) - 1, len(indptr) - 1))


def independent_pairs(size: int, p: float, rng: np.random.Generator) -> Rows:
    """Each pair i < j with probability `p`, in row i. The gaps between pairs that are tied are geometric: one draw an edge.

    Source: Batagelj & Brandes 2005.
    """
    row = np.arange(size + 1)
    # Pairs are numbered row by row, (0, 1), (0, 2), …; row i begins at start[i].
    start = row * size - row * (row + 1) // 2
    pairs = size * (size - 1) // 2
    count, parts = np.zeros(size, dtype=np.int64), [np.empty(0, dtype=np.int32)]
    for place in _hits(pairs, p, rng):
        first, final = (int(np.searchsorted(start, end, "right")) - 1 for end in (place[0], place[-1]))
        here = np.diff(np.searchsorted(place, start[first : final + 2]))
        count[first : final + 1] += here
        parts.append((place - np.repeat(start[first : final + 1] - row[first : final + 1] - 1, here)).astype(np.int32))
    return np.concatenate([[0], np.cumsum(count)]), np.concatenate(parts)


def _hits(places: int, p: float, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """The places, of 0 to `places` − 1, that are drawn, each with probability `p`: ascending, some at a time."""
    last = -1
    while p > 0 and last < places:
        left = (places - 1 - last) * p
        gaps = rng.geometric(p, min(CHUNK, int(left + 6 * left**0.5) + 16))
        place = last + np.cumsum(np.minimum(gaps, places + 1))
        last = int(place[-1])
        place = place[: np.searchsorted(place, places)]
        if len(place):
            yield place


def block_pairs(sizes: NDArray[np.int64], inside: float, between: float, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Pairs of agents in consecutive blocks of these sizes (B,): both ends of each, (m,), in no order.

    inside: how many others of its own block each agent is tied to on average, at most all there are; between: of other blocks, on
    average over all agents. Source: Holland, Laskey & Leinhardt 1983.
    """
    begin, size = np.cumsum(sizes) - sizes, int(sizes.sum())
    block = np.repeat(np.arange(len(sizes)), sizes)
    ones, others = [], []
    for of in np.unique(sizes[sizes > 1]).tolist():  # blocks of a size at once: their pairs in one row of places
        first, pairs = begin[sizes == of], of * (of - 1) // 2
        for place in _hits(len(first) * pairs, min(1.0, inside / (of - 1)), rng):
            one, other = _pair_of(place % pairs, of)
            ones.append(first[place // pairs] + one)
            others.append(first[place // pairs] + other)
    strangers = size * size - int((sizes * sizes).sum())
    for place in _hits(size * (size - 1) // 2, between * size / max(strangers, 1), rng):
        one, other = _pair_of(place, size)
        apart = block[one] != block[other]
        ones.append(one[apart])
        others.append(other[apart])
    none = np.empty(0, dtype=np.int64)
    return np.concatenate([none, *ones]), np.concatenate([none, *others])


def _pair_of(place: Ints, size: int) -> tuple[Ints, Ints]:
    """The two of `size` agents whose pair stands at each place of (0, 1), (0, 2), …, (1, 2), …."""
    row = np.arange(size)
    start = row * (2 * size - row - 1) // 2
    one = np.searchsorted(start, place, "right") - 1
    return one, place - start[one] + one + 1


def matched_pairs(degree: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Pairs in which agent i stands degree[i] times (N,): ends are joined at random, then what is a loop or a double is undone.

    A pair that is a loop, or was there before, changes its second end with that of a pair drawn at random, until there is none;
    so all degrees are kept. ValueError: there is still one after `ROUNDS` rounds. Source: Newman, Strogatz & Watts 2001 (joining
    at random); the changes are those of Maslov & Sneppen 2002. Graphs are drawn nearly, not exactly, alike.
    """
    ends = rng.permutation(np.repeat(np.arange(len(degree)), degree))
    one, other = ends[::2].copy(), ends[1::2].copy()
    for _ in range(ROUNDS):
        wrong = _wrong(one, other, len(degree))
        if not len(wrong):
            return one, other
        # One after the other: a pair may be drawn twice.
        for at, partner in zip(wrong.tolist(), rng.integers(len(one), size=len(wrong)).tolist(), strict=True):
            other[at], other[partner] = other[partner], other[at]
    raise ValueError(f"the degrees are so uneven that {ROUNDS} rounds of changes leave loops or doubled ties")


def _wrong(one: Ints, other: Ints, size: int) -> Ints:
    """Places of the pairs that are loops or were there before."""
    key = np.minimum(one, other) * size + np.maximum(one, other)
    order = np.argsort(key, kind="stable")
    again = order[1:][np.diff(key[order]) == 0]
    return np.union1d(again, np.flatnonzero(one == other))


def graphical(degree: Ints) -> bool:
    """Whether a network without loops and doubles can have these degrees (N,). Source: Erdős & Gallai 1960."""
    fallen, size = np.sort(degree)[::-1], len(degree)
    if fallen.sum() % 2 or fallen[0] >= size:
        return False
    # What the first k have must fit among themselves and into the others, of whom each takes min(d, k).
    k = np.arange(1, size + 1)
    at_least = np.maximum(np.searchsorted(-fallen, -k, "right"), k)
    rest = np.concatenate([np.cumsum(fallen[::-1])[::-1], [0]])
    return bool(np.all(np.cumsum(fallen) <= k * (k - 1) + k * (at_least - k) + rest[at_least]))


def preferential_pairs(size: int, attach: int, rng: np.random.Generator) -> Rows:
    """Newcomers tied to `attach` different others each, drawn by degree, in the rows of the newcomers.

    The first are a star of `attach` + 1 agents, as in networkx. Source: Barabási & Albert 1999; a draw from the list of all ends
    is one by degree: Batagelj & Brandes 2005.
    """
    ends = np.empty(2 * attach * (size - attach), dtype=np.int32)
    (compiled(_attach) if size > INTERPRETED else _attach)(ends, size, attach, np.full(size, -1, dtype=np.int32), rng)
    older = ends[::2]
    older[attach:] = np.sort(older[attach:].reshape(-1, attach), axis=1).reshape(-1)
    newcomer = np.arange(size + 1)
    indptr = np.where(newcomer <= attach, np.maximum(newcomer - 1, 0), attach + (newcomer - attach - 1) * attach)
    return indptr, np.ascontiguousarray(older)


def _attach(ends: Any, size: int, attach: int, chosen_by: Any, rng: np.random.Generator) -> None:
    """Fill `ends`: each pair as older end, newer end. chosen_by: (N,) the last newcomer that chose each agent, −1 at first."""
    for leaf in range(attach):
        ends[2 * leaf], ends[2 * leaf + 1] = 0, leaf + 1
    filled = 2 * attach
    for newcomer in range(attach + 1, size):
        known = filled
        for _ in range(attach):
            other = ends[int(rng.random() * known)]
            while chosen_by[other] == newcomer:
                other = ends[int(rng.random() * known)]
            chosen_by[other] = newcomer
            ends[filled], ends[filled + 1] = other, newcomer
            filled += 2


def rewired_pairs(size: int, neighbours: int, share: float, rng: np.random.Generator) -> Rows:
    """A ring in which each agent is tied to `neighbours` / 2 next ones, each tie turned to anybody with probability `share`.

    Needs neighbours + 1 < size. Source: Watts & Strogatz 1998; no tie is doubled, as in networkx.
    """
    half = neighbours // 2
    ties = ((np.arange(size)[:, None] + np.arange(1, half + 1)) % size).astype(np.int32)
    if share > 0:
        (compiled(_rewire) if size > INTERPRETED else _rewire)(ties, size, half, share, np.full(size, neighbours), rng)
    return np.arange(size + 1) * half, np.sort(ties, axis=1).reshape(-1)


def _rewire(ties: Any, size: int, half: int, share: float, degree: Any, rng: np.random.Generator) -> None:
    """Turn ties (N, half) of each agent, nearest first; degree: (N,). Who is tied to everybody keeps its ties."""
    for j in range(half):
        for agent in range(size):
            if rng.random() >= share or degree[agent] >= size - 1:
                continue
            free = False
            while not free:
                other = int(rng.random() * size)
                free = other != agent
                for k in range(half):
                    # A tie stands with only one of its ends.
                    free = free and ties[agent, k] != other and ties[other, k] != agent
            degree[ties[agent, j]] -= 1
            degree[other] += 1
            ties[agent, j] = other
