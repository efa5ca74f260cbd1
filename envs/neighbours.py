"""Hearing along ties: everybody hears what those it has a tie to said in the step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contagium.envs.message import Exposures, Messages, row_pointer, spans
from contagium.envs.world import World

Ints = NDArray[np.int64]


def heard_from_neighbours(world: World, step: int, board: Messages, readers: Ints) -> Exposures:
    """What `World.hear` returns where readers (n,) hear all that those the network lets them hear said at `step`."""
    net, now, tied = world.network, np.flatnonzero(board.step == step), world.tied(step)
    post = np.full(net.size, -1)
    post[board.sender[now]] = now
    count = np.diff(net.indptr)[readers]
    _, edge = spans(net.indptr[readers], count)
    heard = post[net.source[edge]]
    said = np.flatnonzero(heard >= 0 if tied is None else (heard >= 0) & tied[edge])
    heard = heard[said]
    # The edges of a reader ascend by source, and so do the messages of one step.
    return Exposures(step, np.repeat(readers, count)[said], board.id[heard], board.sender[heard], net.weight[edge[said]])


def neighbours(world: World, step: int) -> tuple[Ints, NDArray[np.int32]]:
    """Whom each agent hears at `step`, as CSR: those of agent a are the second array at first[a]:first[a + 1]."""
    net, tied = world.network, world.tied(step)
    if tied is None:
        return net.indptr, net.source
    return row_pointer(net.target[tied], net.size), net.source[tied]
