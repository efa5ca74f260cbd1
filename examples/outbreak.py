"""An outbreak among 100,000 agents, in continuous time and in steps, beside what theory says. Run: python examples/outbreak.py"""

import numpy as np

from contagium.agents.mechanistic.dwell import Gamma
from contagium.agents.mechanistic.engine.simulate import simulate
from contagium.agents.mechanistic.models import sir
from contagium.agents.mechanistic.theory.outcomes import continuous_transmissibility, poisson_final_size
from contagium.envs.network import erdos_renyi
from contagium.envs.rng import Streams

SIZE, SEEDED, DEGREE, BETA, GAMMA = 100_000, 1_000, 8.0, 0.1, 0.2


def main() -> None:
    streams = Streams(seed=1)
    network = erdos_renyi(SIZE, streams, mean_degree=DEGREE)
    seeded = streams.generator("seeds").permutation(SIZE)[:SEEDED]
    expected = poisson_final_size(continuous_transmissibility(BETA, GAMMA), DEGREE, SEEDED / SIZE)
    print(f"theory            {expected:.4f} of all agents are infected in the end")
    for dt in (None, 0.25, 0.5, 1.0):
        outbreak = simulate(sir(BETA, GAMMA), network, seeded, until=100.0, streams=streams, dt=dt)
        final = 1 - outbreak.counts[-1, 0] / SIZE
        print(f"{'continuous time' if dt is None else f'steps of {dt}':<17} {final:.4f}")
    fixed = simulate(sir(BETA, infectious_dwell=Gamma(mean=5, shape=10)), network, seeded, until=100.0, streams=streams)
    print(f"less varied stays {1 - fixed.counts[-1, 0] / SIZE:.4f}")
    forest = outbreak.forest
    print(f"in the last of the first four, agent {forest.agent[-1]} caught it last, from agent {forest.cause[-1]}")
    print(f"and one agent in a hundred caused {np.quantile(forest.secondary(SIZE), 0.99):.0f} cases or more")


if __name__ == "__main__":
    main()
