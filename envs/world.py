"""The world: who observes what, what an act brings about, who hears it. Arrays over agents, no minds.

A subclass says how messages travel (`hear`), and, where it wants, from whom they can come (`sources`), who acts when (`active`),
what a message answers (`answer`), what an act earns (`consequence`) and what a speaking agent is told of its situation
(`describe`). The base class keeps the board of recent messages, builds observations and applies the rules of every world.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contagium.envs.message import Axes, Channel, Exposures, Inbox, Mail, Messages
from contagium.envs.network import Network
from contagium.envs.pressure import Pressure
from contagium.envs.rng import Streams


@dataclass(frozen=True)
class Observation:
    """What a group of n agents sees at `step`.

    agents: (n,) ascending ids. inbox: what they read now. pressure: what presses on them (None: nothing in this world).
    reward: (n,) since the last act. terminated, truncated: (n,) bool. describe: agent id → its situation in words.
    """

    step: int
    agents: NDArray[np.int64]
    inbox: Inbox
    pressure: Pressure | None
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    describe: Callable[[int], str]


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


def _texts(ids: NDArray[np.int64], sender: NDArray[np.int64], said: dict[int, str]) -> dict[int, str]:
    return {i: said[a] for i, a in zip(ids.tolist(), sender.tolist(), strict=True) if a in said}


@dataclass(frozen=True)
class Consequence:
    """What an act brings: reward (N,), terminated (N,)."""

    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]


class World(ABC):
    """A population's surroundings. Call `reset`, then in each step `observe`, `send`, `deliver`.

    settled: the consequence of the last act. network: who can hear whom. axes: the columns of expressions. memory: steps for
    which a message can still be delivered. mail: what was heard and not yet read.

    `active`, `hear`, `sources`, `seen` and `said` depend on their arguments and the seed alone, not on how far the world has
    come: a schedule may call them ahead of it for single agents.
    """

    choices: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    channel: Channel = Channel.BOARD

    def __init__(self, network: Network, axes: Axes, memory: int = 1) -> None:
        if memory < 1:
            raise ValueError(f"memory must be at least 1 step, got {memory}")
        self.network = network
        self.axes = axes
        self.memory = memory
        self._everyone = np.arange(network.size)

    def reset(self, streams: Streams) -> None:
        """Begin anew: no messages, nothing heard, step 0."""
        self.streams = streams
        self.step = 0
        self.mail = Mail.none(len(self.axes), self.network.size)
        self.settled = Consequence(np.zeros(self.network.size), np.zeros(self.network.size, dtype=bool))
        self.start()

    @property
    def board(self) -> Messages:
        """The messages that can still be delivered or read."""
        return self.mail.board

    def observe(self, agents: NDArray[np.int64], pressure: Pressure | None = None) -> Observation:
        """What `agents` (n,) see now. pressure: of all N agents."""
        return self.seen(self.step, agents, self.mail, None if pressure is None else pressure.take(agents))

    def seen(self, step: int, agents: NDArray[np.int64], mail: Mail, pressure: Pressure | None) -> Observation:
        """What `agents` (n,) with `mail` before them see at `step`. pressure: on them alone."""
        return Observation(
            step=step,
            agents=agents,
            inbox=mail.inbox(agents),
            pressure=pressure,
            reward=self.settled.reward[agents],
            terminated=self.settled.terminated[agents],
            truncated=np.zeros(len(agents), dtype=bool),
            describe=self.describe,
        )

    def send(self, act: Act) -> Messages:
        """The messages of an act, in transit: numbered, addressed, not yet heard by anyone.

        ValueError: the agents of the act do not ascend, or it is not their turn.
        """
        if np.any(act.agents[1:] <= act.agents[:-1]):
            raise ValueError("the agents of an act must ascend")
        turn = self._turn()[act.agents]
        if not np.all(turn):
            raise ValueError(f"it is not the turn of agents {act.agents[~turn].tolist()}")
        return self.said(self.step, act, self.mail)

    def said(self, step: int, act: Act, mail: Mail) -> Messages:
        """The messages of an act at `step` by agents with `mail` before them."""
        says = np.flatnonzero(act.says)
        sender = act.agents[says]
        ids = step * self.network.size + sender
        reply_to = self.answer(step, sender, mail)
        known = np.flatnonzero(reply_to >= 0)
        thread = ids.copy()
        thread[known] = mail.board.thread[mail.board.rows(reply_to[known])]
        return Messages(
            id=ids,
            sender=sender,
            step=np.full(len(says), step),
            channel=np.full(len(says), self.channel, dtype=np.int8),
            thread=thread,
            reply_to=reply_to,
            expression=act.expression[says],
            text=_texts(ids, sender, act.text) if act.text else {},
        )

    def deliver(self, messages: Messages, act: Act, stops: Callable[[Exposures], NDArray[np.bool_]] | None = None) -> Exposures:
        """Bring what is left in transit to its hearers, settle consequences, and move on to the next step.

        stops: which of m exposures do not come about, (m,) bool.
        """
        # Who had no turn has not read yet: what it was told waits for it, however old.
        unread = self.mail.unread(self._turn())
        kept = (self.board.step > self.step - self.memory) | np.isin(self.board.id, unread.message)
        board = self.board.take(kept).concat(messages)
        heard = self.hear(self.step, board, self._everyone)
        if stops is not None:
            heard = heard.take(~stops(heard))
        self.mail = Mail(board, unread.concat(heard), self.network.size)
        self.settled = self.consequence(act)
        self.step += 1
        return heard

    def annotate(self, ids: NDArray[np.int64], expression: NDArray[np.float32]) -> None:
        """Fill in what an instrument read in messages (n,) whose expression (n, D) was not known; known values stay."""
        if not np.isnan(self.board.expression).any():
            return
        present = np.isin(ids, self.board.id)
        at = self.board.rows(ids[present])
        known = self.board.expression.copy()
        known[at] = np.where(np.isnan(known[at]), expression[present], known[at])
        self.mail = replace(self.mail, board=replace(self.board, expression=known))

    def start(self) -> None:  # noqa: B027
        """Set up private state; `self.streams` is there."""

    @abstractmethod
    def hear(self, step: int, board: Messages, readers: NDArray[np.int64]) -> Exposures:
        """Who among `readers` (n,), ascending, hears which message of `board` before step + 1, sorted by reader, then message.

        The board holds messages sent up to `step`. What a reader hears is the same whoever else is asked for, and whatever stands
        on the board beside its sources' messages.
        """

    def sources(self, step: int, reader: int) -> NDArray[np.int64]:
        """The agents, ascending, whose acts up to `step` must be known for what `reader` hears at `step`; here everybody.

        A world that names fewer promises that nothing else reaches the reader: no consequences, no change in `describe`.
        """
        return self._everyone

    def active(self, step: int) -> NDArray[np.int64]:
        """Ids of the agents whose turn it is at `step`, ascending."""
        return self._everyone

    def answer(self, step: int, sender: NDArray[np.int64], mail: Mail) -> NDArray[np.int64]:
        """Which message each sender (n,) replies to at `step`: ids among its mail, −1 for none. Shape (n,)."""
        return np.full(len(sender), -1)

    def consequence(self, act: Act) -> Consequence:
        """Reward and termination; by default talk earns nothing and never ends."""
        return Consequence(np.zeros(self.network.size), np.zeros(self.network.size, dtype=bool))

    def describe(self, agent: int) -> str:
        """The situation of `agent` in words, for a speaking agent's prompt; it may change only where `sources` is everybody."""
        return ""

    def _turn(self) -> NDArray[np.bool_]:
        """Whether it is the turn of each agent now, (N,)."""
        turn = np.zeros(self.network.size, dtype=bool)
        turn[self.active(self.step)] = True
        return turn
