"""Large graphs from random numbers, and the memory they may take.

Rows are compressed: row i holds other[indptr[i]:indptr[i + 1]]. All but `transpose` deal with pairs that are tied both ways.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contagium.envs.compiled import compiled

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Rows = tuple[NDArray[np.int64], NDArray[np.int32]]

INTERPRETED = 5_000
"""Agents up to whom a loop is not worth the second that the compiler takes to start. Both ways give the same graph."""
CHUNK = 2**20
"""Random numbers drawn at a time."""


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
    count, parts, last = np.zeros(size, dtype=np.int64), [np.empty(0, dtype=np.int32)], -1
    while p > 0 and last < pairs:
        left = (pairs - 1 - last) * p
        gaps = rng.geometric(p, min(CHUNK, int(left + 6 * left**0.5) + 16))
        place = last + np.cumsum(np.minimum(gaps, pairs + 1))
        last = int(place[-1])
        place = place[: np.searchsorted(place, pairs)]
        if len(place):
            first, final = (int(np.searchsorted(start, end, "right")) - 1 for end in (place[0], place[-1]))
            here = np.diff(np.searchsorted(place, start[first : final + 2]))
            count[first : final + 1] += here
            parts.append((place - np.repeat(start[first : final + 1] - row[first : final + 1] - 1, here)).astype(np.int32))
    return np.concatenate([[0], np.cumsum(count)]), np.concatenate(parts)


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
