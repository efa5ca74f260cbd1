"""The hands of interventions: what they do to agents and ties, done at once and kept for the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from contagium.agents.policy import Clamp, Deed, Immunise, Pin, Policy, Release, SumUp, Unpin, Wipe
from contagium.envs.pressure import Pressure
from contagium.envs.world import Observation, World

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Done:
    """One line of the log: an intervention did something to `agents` (n,), or with the messages (n,) of these agents.

    action: what. messages: (n,) ids, None where it was about none. detail: in what words or to what value, for all of them, by
    message, or for each agent.
    """

    name: str
    action: str
    agents: Ints
    messages: Ints | None = None
    detail: str | dict[int, str] | tuple[str, ...] = ""


class Hands:
    """What interventions do in a run, for whichever of them holds them (`name`).

    done: what has been done since the log last took it. Who has no turn keeps what it was told, and what pressed on it, until it
    has one.
    """

    def __init__(self, world: World, policies: Sequence[Policy], group: Ints) -> None:
        self._world, self._policies, self._group = world, policies, group
        self.name = ""
        self.done: list[Done] = []
        self._instructions: dict[int, list[str]] = {}
        self._instructed: set[tuple[str, int, str]] = set()
        self._before: set[tuple[str, int, str]] = set()
        self._told: dict[int, list[str]] = {}
        self._push: NDArray[np.float64] | None = None
        self._closings: Ints | None = None

    def instruct(self, agents: Ints, text: str) -> None:
        """`text` stands with the situation of these agents, those who read, in this step's turn."""
        agents = self._able(agents, Pin)
        for agent in agents.tolist():
            self._instructions.setdefault(agent, []).append(text)
        # What is said again in each step is logged as it begins.
        new = np.array([agent for agent in agents.tolist() if (self.name, agent, text) not in self._before], dtype=np.int64)
        self._instructed |= {(self.name, agent, text) for agent in agents.tolist()}
        self._note("instructed", new, text)

    def tell(self, agents: Ints, text: str) -> None:
        """These agents, those who read, hear `text` as news in their next turn, and remember it as such."""
        agents = self._able(agents, Pin)
        for agent in agents.tolist():
            self._told.setdefault(agent, []).append(text)
        self._note("told", agents, text)

    def push(self, agents: Ints, vector: Sequence[float]) -> None:
        """Press on valence, arousal and dominance (3,) of these agents, of those whose affect is a number, in their next turn."""
        agents = self._able(agents, Clamp)
        if not len(agents):
            return
        if self._push is None:
            self._push = np.zeros((len(self._group), 3))
        self._push[agents] += vector
        self._note("pushed", agents, ", ".join(f"{value:g}" for value in vector))

    def wipe(self, agents: Ints) -> None:
        self._do("wiped", Wipe, agents, Wipe)

    def sum_up(self, agents: Ints) -> None:
        self._do("summed up", SumUp, agents, SumUp)

    def pin(self, agents: Ints, text: str) -> None:
        self._do("pinned", Pin, agents, lambda some: Pin(some, text), text)

    def unpin(self, agents: Ints, text: str) -> None:
        self._do("unpinned", Unpin, agents, lambda some: Unpin(some, text), text)

    def clamp(self, agents: Ints, affect: tuple[float, float, float]) -> None:
        told = ", ".join("free" if np.isnan(a) else f"{a:g}" for a in affect)
        self._do("clamped", Clamp, agents, lambda some: Clamp(some, affect), told)

    def release(self, agents: Ints) -> None:
        self._do("released", Release, agents, Release)

    def immunise(self, agents: Ints, share: float) -> None:
        self._do("immunised", Immunise, agents, lambda some: Immunise(some, share), f"{share:g}")

    def close(self, edges: Ints) -> None:
        """Nothing is heard along these edges (places in `network.source`) from now on."""
        self._tie("cut", edges, 1)

    def open(self, edges: Ints) -> None:
        self._tie("mended", edges, -1)

    def learn(self, agents: Ints, text: str) -> None:
        """Nothing is done to these agents: `text` is what was learned from them."""
        self._note("learned", agents, text)

    def must_hold(self, notes: Sequence[tuple[NDArray[np.bool_], str]]) -> None:
        """ValueError: the notes that some agent may be given, each for those of a mask (N,), are more than its memory holds.

        To be asked before the run: it gives them, and takes them again.
        """
        readers = self._able(np.arange(len(self._group)), Pin)
        if not (notes and len(readers)):
            return
        texts = list(dict.fromkeys(text for _, text in notes))
        whose = np.column_stack([np.any([mask for mask, text in notes if text == one], axis=0) for one in texts])
        # One of each group for each set of notes that its agents may be given.
        kinds = np.column_stack([self._group, whose])[readers]
        for agent in readers[np.unique(kinds, axis=0, return_index=True)[1]].tolist():
            policy, mine = self._policies[self._group[agent]], [texts[k] for k in np.flatnonzero(whose[agent])]
            for text in mine:
                policy.undergo(Pin(np.array([agent]), text))
            for text in mine:
                policy.undergo(Unpin(np.array([agent]), text))

    def next_step(self) -> None:
        """Instructions are for one step."""
        self._before, self._instructed, self._instructions = self._instructed, set(), {}

    def shown(self, seen: Observation) -> Observation:
        """What agents see, with all that they are told here."""
        if self._told or self._instructions:
            agents = seen.agents.tolist()
            told = {agent: self._told.pop(agent) for agent in agents if agent in self._told}
            news = {**seen.news, **{agent: " ".join((*_news(seen, agent), *texts)) for agent, texts in told.items()}}
            now = {agent: "\n".join(self._instructions[agent]) for agent in agents if agent in self._instructions}
            describe = seen.describe
            seen = replace(
                seen,
                news=MappingProxyType(news),
                describe=lambda agent: f"{describe(agent)}\n{now[agent]}".strip() if agent in now else describe(agent),
            )
        if self._push is not None:
            push = self._push[seen.agents]
            self._push[seen.agents] = 0
            seen = replace(seen, pressure=Pressure.pushing(seen.pressure, push))
        return seen

    def take(self) -> list[Done]:
        """What has been done since this was last asked for."""
        done, self.done = self.done, []
        return done

    def _do(self, action: str, kind: type[Deed], agents: Ints, deed: Callable[[Ints], Deed], detail: str = "") -> None:
        """To those of `agents` to whom it can be done."""
        agents = self._able(agents, kind)
        for g in np.unique(self._group[agents]).tolist():
            self._policies[g].undergo(deed(agents[self._group[agents] == g]))
        self._note(action, agents, detail)

    def _able(self, agents: Ints, kind: type[Deed]) -> Ints:
        """Those of `agents` to whom such a deed can be done."""
        able = np.array([kind in policy.undergoes for policy in self._policies])
        return agents[able[self._group[agents]]]

    def _tie(self, action: str, edges: Ints, by: int) -> None:
        """Close edges once more (by: 1), or take back one closing (−1): a tie is mended when nobody holds it closed any more."""
        net = self._world.network
        if self._closings is None:
            self._closings = np.zeros(len(net.source), dtype=np.int64)
        before = self._closings[edges] > 0
        self._closings[edges] = np.maximum(self._closings[edges] + by, 0)
        changed = edges[before != (self._closings[edges] > 0)]
        self._world.close(changed, closed=by > 0)
        ends = zip(net.source[changed].tolist(), net.target[changed].tolist(), strict=True)
        if len(changed):
            told = tuple(f"{source} -> {target}" for source, target in ends)
            self.done.append(Done(self.name, action, net.target[changed], None, told))

    def _note(self, action: str, agents: Ints, detail: str) -> None:
        if len(agents):
            self.done.append(Done(self.name, action, agents, None, detail))


def _news(seen: Observation, agent: int) -> tuple[str, ...]:
    return (seen.news[agent],) if agent in seen.news else ()
