"""A turn: what agents see, what they do, and what that brings about. Arrays over the agents whose turn it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contagium.envs.message import Inbox
from contagium.envs.pressure import Pressure


@dataclass(frozen=True)
class Observation:
    """What a group of n agents sees at `step`.

    agents: (n,) ascending ids. inbox: what they read now. pressure: what presses on them (None: nothing in this world).
    reward: (n,) since the last act. terminated, truncated: (n,) bool. describe: agent id → its situation in words. news: agent id
    → what befell it since, in words. allowed: (n, C), which of the world's choices each may take now; None: all.
    """

    step: int
    agents: NDArray[np.int64]
    inbox: Inbox
    pressure: Pressure | None
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    describe: Callable[[int], str]
    news: Mapping[int, str] = field(default_factory=dict)
    allowed: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Transitions:
    """Moves between compartments, one row each, all shape (m,).

    cause: the message that caused it, −1 if none; source: its sender.
    origin, target: compartment names.
    """

    agent: NDArray[np.int64]
    origin: NDArray[np.str_]
    target: NDArray[np.str_]
    cause: NDArray[np.int64]
    source: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.agent)


@dataclass(frozen=True, slots=True)
class Report:
    """What an agent said it feels, in private.

    feeling: its label; None where there is none. status: "ok"; "failed": what came back was no answer, and stands in `raw`;
    "missing": nothing came back, and `raw` says why.
    """

    feeling: str | None
    status: Literal["ok", "failed", "missing"] = "ok"
    raw: str = ""


@dataclass(frozen=True)
class Act:
    """What a group of n agents does.

    agents: (n,) ids. says: (n,) bool, whether the agent sends a message. expression: (n, D) float32 on the run's axes,
    NaN where only the text tells. choice: (n,) index into the world's `choices`, 0 where it has none, −1: no valid choice. text,
    thought, report: by agent id; thought and report (a self-reported feeling) are private. missing: agent id → why its turn has
    no result. latent: strain → transitions of the policy's own hidden state, where it has one; they are the truth the
    observer never sees. counts: strain → compartment of that hidden state → agents of the group in it now, whose turn or not.
    """

    agents: NDArray[np.int64]
    says: NDArray[np.bool_]
    expression: NDArray[np.float32]
    choice: NDArray[np.int64]
    text: dict[int, str] = field(default_factory=dict)
    thought: dict[int, str] = field(default_factory=dict)
    report: dict[int, Report] = field(default_factory=dict)
    missing: dict[int, str] = field(default_factory=dict)
    latent: dict[str, Transitions] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which of its agents had a turn with a result, (n,)."""
        return ~np.isin(self.agents, list(self.missing))

    @classmethod
    def idle(cls, agents: NDArray[np.int64], axes: int) -> Act:
        """Nobody says or does anything."""
        n = len(agents)
        nothing = np.full((n, axes), np.nan, dtype=np.float32)
        return cls(agents, np.zeros(n, dtype=bool), nothing, np.zeros(n, dtype=np.int64))

    @classmethod
    def merge(cls, acts: Sequence[Act], axes: int) -> Act:
        """The acts of disjoint groups as one, ordered by agent, so that the split into groups leaves no trace."""
        if not acts:
            return cls.idle(np.empty(0, dtype=np.int64), axes)
        agents = np.concatenate([a.agents for a in acts])
        ordered = bool(np.all(agents[1:] > agents[:-1]))
        order = slice(None) if ordered else np.argsort(agents, kind="stable")
        if not ordered and np.any(np.diff(agents[order]) == 0):
            raise ValueError("an agent acts in two groups at once")
        private: dict[str, dict[int, Any]] = {}
        for name in ("text", "thought", "report", "missing"):
            union = {key: value for act in acts for key, value in getattr(act, name).items()}
            private[name] = dict(sorted(union.items()))
        latent: dict[str, Transitions] = {}
        for strain in sorted({s for a in acts for s in a.latent}):
            latent[strain] = _join([a.latent[strain] for a in acts if strain in a.latent])
        return cls(
            agents[order],
            np.concatenate([a.says for a in acts])[order],
            np.concatenate([a.expression for a in acts])[order],
            np.concatenate([a.choice for a in acts])[order],
            latent=latent,
            counts=_added([a.counts for a in acts]),
            **private,
        )


def _join(parts: list[Transitions]) -> Transitions:
    order = np.argsort(np.concatenate([p.agent for p in parts]), kind="stable")
    names = ("agent", "origin", "target", "cause", "source")
    return Transitions(*(np.concatenate([getattr(p, name) for p in parts])[order] for name in names))


def _added(parts: Sequence[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    """Counts of disjoint groups, added up; compartments in the order in which groups name them."""
    total: dict[str, dict[str, int]] = {}
    for strain, counts in ((strain, counts) for part in parts for strain, counts in part.items()):
        of = total.setdefault(strain, {})
        for compartment, agents in counts.items():
            of[compartment] = of.get(compartment, 0) + agents
    return total


@dataclass(frozen=True)
class Consequence:
    """What an act brings: reward (N,), terminated (N,).

    push: (N, 3), what it does to the valence, arousal and dominance of those who have an affect; None: nothing. news: agent id →
    what it is told of it. outcomes: facts for the log, by name: which agents (m,), ascending, and a number for each (m,), such as
    1 for what it did and 0 for what it could have done and did not.
    """

    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    push: NDArray[np.float64] | None = None
    news: Mapping[int, str] = field(default_factory=dict)
    outcomes: Mapping[str, tuple[NDArray[np.int64], NDArray[Any]]] = field(default_factory=dict)

    def after(self, before: Consequence, idle: NDArray[np.bool_]) -> Consequence:
        """This, with what befell the agents `idle` (N,), who have had no turn to see it, `before`."""
        if not idle.any():
            return self
        news, push = self.news, self.push
        if waits := {agent: text for agent, text in before.news.items() if idle[agent]}:
            news = {**news, **{agent: f"{text} {news[agent]}" if agent in news else text for agent, text in waits.items()}}
        if before.push is not None:
            waiting = before.push * idle[:, None]
            push = waiting if push is None else push + waiting
        return replace(self, reward=self.reward + before.reward * idle, push=push, news=news)
