"""One call for an outbreak: a contagion model on a network, in continuous time or in steps, without messages or minds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.contagion import ContagionModel
from contagium.agents.mechanistic.engine.continuous import continuous
from contagium.agents.mechanistic.engine.discrete import discrete
from contagium.agents.mechanistic.engine.outbreak import Outbreak
from contagium.envs.network import Network
from contagium.envs.rng import Streams


def simulate(
    model: ContagionModel,
    network: Network,
    seeded: NDArray[np.int64],
    until: float,
    streams: Streams,
    dt: float | None = None,
    watch: Callable[[float, NDArray[np.int64]], None] | None = None,
) -> Outbreak:
    """Run `model` on `network` up to the time `until`, with the agents `seeded` as index cases at time 0.

    dt None: in continuous time, exact, with counts at 101 equal times from 0 to `until`. Otherwise in steps of dt, with counts
    at every step; see `discrete.step_error` for what that costs. Both are the same law, and both record who caught it from
    whom. watch: told the time and the counts now and then. ValueError names what does not fit.
    """
    if network.times is not None:
        raise ValueError("ties that come and go are for worlds; an outbreak without messages takes ties that always carry")
    start = model.start(network.size, seeded)
    if dt is None:
        return continuous(model, network, start, until, streams, watch=watch)
    return discrete(model, network, start, until, dt, streams, watch=watch)
