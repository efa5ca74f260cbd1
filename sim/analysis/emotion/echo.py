"""How far what an agent shows comes back to it: the paths of its network, and the bias they make in a short panel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from contagium.envs.rng import Streams
from contagium.sim.analysis.emotion.panel import Floats, Ints, Panel

LONGEST = 12
"""Paths of more steps lead anywhere, and are taken to lead back as often as those of this length."""

STABLE = 0.98
"""What is carried on in a step is taken to be at most this share: bias is worked out for a panel that does not run away."""

EXACT = 400
PROBES = 20
"""Of more agents than `EXACT`, the trace is estimated with so many random vectors of signs (Hutchinson 1989)."""


def moments(panels: Sequence[Panel]) -> Floats:
    """The share of what is said that comes back to its speaker after 0, 1, … LONGEST hearings: mean of the diagonal of Wᵐ.

    W: row i holds the shares of what i heard that came from each agent, over the whole run.
    """
    total, agents = np.zeros(LONGEST + 1), 0
    for panel in panels:
        total += _traces(panel)
        agents += len(panel.agents)
    return total / max(agents, 1)


def _traces(panel: Panel) -> Floats:
    from scipy.sparse import csr_array

    size = len(panel.agents)
    said = np.ones(len(panel.hearer))
    heard = csr_array((said, (panel.hearer, panel.source)), shape=(size, size))
    share = 1 / np.maximum(np.bincount(panel.hearer, minlength=size), 1)
    probe = np.eye(size) if size <= EXACT else Streams(0).generator("paths").choice([-1.0, 1.0], size=(size, PROBES))
    each, found, walked = (1 if size <= EXACT else PROBES), [], probe
    for _ in range(LONGEST + 1):
        found.append(float((probe * walked).sum()) / each)
        walked = share[:, None] * (heard @ walked)
    return np.array(found)


def distances(agent: Ints, step: Ints) -> Floats:
    """How often an error stands in its agent's mean together with one k + 1 steps later, over its turns: (T − 1,).

    agent, step: (m,) of the turns that are used.
    """
    size = int(agent.max()) + 1
    first = np.full(size, np.iinfo(np.int64).max)
    np.minimum.at(first, agent, step)
    time = step - first[agent]
    used = np.zeros((size, int(time.max()) + 1))
    used[agent, time] = 1.0
    each = 1 / np.maximum(used.sum(axis=1), 1)
    return np.array([float(each @ np.einsum("it,it->i", used[:, k:], used[:, :-k])) for k in range(1, used.shape[1])])


def nickell(inertia: float, contagion: float, left: Floats, echo: Floats, agents: int) -> tuple[float, float]:
    """Expected sum of own and of heard affect times the error, within agents and steps, for errors of variance 1.

    left: of `distances`. In y(t) = A y(t−1) + ε with A = φ + βW, what an agent showed or heard k steps after an error holds the
    share Aᵏ or W Aᵏ of it, and taking off the agent's mean over its T turns mixes a T-th of it in. W counts through the diagonals
    of its powers. Step effects take off what all of `agents` share: (φ + β)ᵏ. Source: Nickell 1981.
    """
    stable = min(1.0, STABLE / max(abs(inertia) + abs(contagion), STABLE))
    own, heard = _shares(stable * inertia, stable * contagion, len(left), echo, agents)
    return -float(left @ own), -float(left @ heard)


def _shares(inertia: float, contagion: float, count: int, echo: Floats, agents: int) -> tuple[Floats, Floats]:
    """Mean diagonal of Aᵏ and of W Aᵏ for k below `count`, less what step effects take off; echo beyond its end stays as it "
    "is."""
    back = np.concatenate([echo, np.full(count, echo[-1])])
    # Row m of `power` is the weight of Wᵐ in Aᵏ, by Pascal's rule.
    power, own, heard = np.zeros(count + 1), np.empty(count), np.empty(count)
    power[:1] = 1.0
    for k in range(count):
        own[k], heard[k] = power @ back[: count + 1], power @ back[1 : count + 2]
        shifted = contagion * power[:-1]
        power *= inertia
        power[1:] += shifted
    common = (inertia + contagion) ** np.arange(count) / agents
    return own - common, heard - common
