"""Starsim's SIR in steps: the graph and the number of runs as arguments, JSON as output. It does not tell who infected whom.

Recovery comes before transmission in a step, so that an agent would transmit once less than elsewhere: one step is added to each
duration.
"""

from __future__ import annotations

import math

import numpy as np
import starsim as ss
from outbreak import B, G, graph, measure, ties

ss.options(verbose=0)
size, indptr, source, seeds = graph()
one, two = ties(indptr, source)
LIMIT = 400


class Sir(ss.SIR):
    """Starsim's SIR from given seeds, with the step added, until nobody is infectious."""

    def init_post(self) -> None:
        super().init_post()
        self.set_prognoses(ss.uids(seeds), sources=-1)
        # Who is infectious from the start transmits in the first step already.
        self.ti_recovered[ss.uids(seeds)] = self.ti_recovered[ss.uids(seeds)] - 1

    def set_progression(self, uids: ss.uids) -> None:
        super().set_progression(uids)
        self.ti_recovered[uids] = self.ti_recovered[uids] + 1


class Given(ss.Network):
    """Ties that stay."""

    def step(self) -> None:
        pass


def prepare(seed: int) -> ss.Sim:
    spread = Sir(
        beta=ss.probperday(B), init_prev=None, dur_inf=ss.expon(scale=ss.days(-1 / math.log1p(-G))), p_death=ss.bernoulli(p=0)
    )
    network = Given(edges={"p1": one, "p2": two, "beta": np.ones(len(one))})
    simulation = ss.Sim(
        n_agents=size, diseases=spread, networks=network, start="2020-01-01", dt=ss.days(1), dur=ss.days(LIMIT), rand_seed=seed
    )
    simulation.init()
    return simulation


def run(simulation: ss.Sim) -> float:
    while simulation.diseases[0].infected.sum():
        simulation.run_one_step()
    return float(simulation.diseases[0].recovered.sum())


measure(prepare, run, size)
