"""The world: who observes what, what an act brings about, who hears it. Arrays over agents, no minds.

A subclass says how messages travel (`hear`), and, where it wants, from whom they can come (`sources`), who acts when (`active`),
what a message answers (`answer`), who may choose what (`allowed`), what an act brings about (`consequence`) and what a speaking
agent is told of its situation (`describe`). The base class keeps the board of recent messages, builds observations and applies
the rules of every world.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contagium.envs.message import Axes, Channel, Exposures, Mail, Messages
from contagium.envs.names import name_of
from contagium.envs.network import Network
from contagium.envs.pressure import Pressure
from contagium.envs.rng import Streams
from contagium.envs.turn import Act as Act
from contagium.envs.turn import Consequence as Consequence
from contagium.envs.turn import Observation as Observation
from contagium.envs.turn import Report as Report
from contagium.envs.turn import Transitions as Transitions


def _texts(ids: NDArray[np.int64], sender: NDArray[np.int64], said: dict[int, str]) -> dict[int, str]:
    return {i: said[a] for i, a in zip(ids.tolist(), sender.tolist(), strict=True) if a in said}


class World(ABC):
    """A population's surroundings. Call `reset`, then in each step `observe`, `send`, `deliver`.

    settled: the consequence of the last act. network: who can hear whom. axes: the columns of expressions. memory: steps for
    which a message can still be delivered. mail: what was heard and not yet read. choices: what agents do beside talking; the
    first is harmless, and everybody may take it. ordered: whether they go from little to much. roles: kinds of inhabitants, if
    any, and role (N,) the place of each agent's in them. closed: (E,) bool, ties along which nothing is heard any more.
    heeds_ties: whether what is heard goes along ties at all. layered: whether it tells layers of the network apart; otherwise
    `network` has none.

    `active`, `hear`, `sources`, `seen` and `said` depend on their arguments and the seed alone, not on how far the world has
    come: a schedule may call them ahead of it for single agents.
    """

    choices: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    channel: Channel = Channel.BOARD
    heeds_ties: bool = True
    ordered: bool = False
    layered: bool = False

    def __init__(self, network: Network, axes: Axes, memory: int = 1) -> None:
        if memory < 1:
            raise ValueError(f"memory must be at least 1 step, got {memory}")
        # In most worlds one hears another or does not, in whatever layer.
        self.network = network if self.layered else network.flat
        self.axes = axes
        self.memory = memory
        self._everyone = np.arange(network.size)
        self.role = np.zeros(network.size, dtype=np.int64)

    def reset(self, streams: Streams) -> None:
        """Begin anew: no messages, nothing heard, step 0."""
        self.streams = streams
        self.step = 0
        self.mail = Mail.none(len(self.axes), self.network.size)
        self.settled = Consequence(np.zeros(self.network.size), np.zeros(self.network.size, dtype=bool))
        self.closed: NDArray[np.bool_] | None = None
        self._late: list[Exposures] = []
        self._since = self.settled
        self._turned: tuple[int, NDArray[np.bool_]] | None = None
        self.start()

    @property
    def board(self) -> Messages:
        """The messages that can still be delivered or read."""
        return self.mail.board

    def observe(self, agents: NDArray[np.int64], pressure: Pressure | None = None) -> Observation:
        """What `agents` (n,) see now. pressure: of all N agents."""
        if (push := self._since.push) is not None:
            pressure = Pressure.pushing(pressure, push)
        return self.seen(self.step, agents, self.mail, None if pressure is None else pressure.take(agents))

    def seen(self, step: int, agents: NDArray[np.int64], mail: Mail, pressure: Pressure | None) -> Observation:
        """What `agents` (n,) with `mail` before them see at `step`. pressure: on them alone."""
        return Observation(
            step=step,
            agents=agents,
            inbox=mail.inbox(agents),
            pressure=pressure,
            reward=self._since.reward[agents],
            terminated=self.settled.terminated[agents],
            truncated=np.zeros(len(agents), dtype=bool),
            describe=self.describe,
            news=self._since.news,
            allowed=self.allowed(step, agents),
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
        # A turn without a result is no valid choice, nor is what an agent may not choose. The act is the run's own, and the log
        # tells what counted.
        if self.choices and act.missing:
            act.choice[~act.present] = -1
        if (may := self.allowed(self.step, act.agents)) is not None and len(act.agents):
            at = np.flatnonzero(act.choice >= 0)
            barred = at[~may[at, act.choice[at]]]
            act.choice[barred] = -1
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

    def deliver(self, messages: Messages, act: Act, delays: Callable[[Exposures], NDArray[np.int64]] | None = None) -> Exposures:
        """Bring what is left in transit to its hearers, settle consequences, and move on to the next step.

        delays: by how many steps each of m exposures comes late, (m,); −1: it never comes about.
        """
        # Who had no turn has not read yet: what it was told waits for it, however old.
        unread = self.mail.unread(self._turn())
        waiting = np.concatenate([unread.message, *(late.message for late in self._late)])
        kept = (self.board.step > self.step - self.memory) | np.isin(self.board.id, waiting)
        board = self.board.take(kept).concat(messages)
        heard = self.hear(self.step, board, self._everyone)
        if delays is not None or self._late:
            heard = self._on_time(heard, np.zeros(len(heard), dtype=np.int64) if delays is None else delays(heard))
        self.mail = Mail(board, unread.concat(heard), self.network.size)
        self.settled = self.consequence(act)
        self._since = self.settled.after(self._since, ~self._turn())
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

    def _on_time(self, heard: Exposures, delays: NDArray[np.int64]) -> Exposures:
        """Those of `heard` (m,) that come at once, and those of earlier steps that come now."""
        for steps in np.unique(delays[delays > 0]).tolist():
            self._late.append(replace(heard.take(delays == steps), step=self.step + steps))
        due = [late for late in self._late if late.step == self.step]
        self._late = [late for late in self._late if late.step > self.step]
        now = heard.take(delays == 0)
        for late in due:
            now = late.concat(now)
        # What comes late may have been shown again just now: nobody reads one message twice in a step.
        again = (np.diff(now.agent) == 0) & (np.diff(now.message) == 0)
        return now.take(np.r_[True, ~again]) if due and again.any() else now

    def close(self, edges: NDArray[np.int64], closed: bool = True) -> None:
        """From now on nothing is heard along these edges (places in `network.source`); closed=False: it is again."""
        if self.closed is None:
            self.closed = np.zeros(len(self.network.source), dtype=bool)
        self.closed = self.closed.copy()
        self.closed[edges] = closed

    def tied(self, step: int) -> NDArray[np.bool_] | None:
        """Which edges of the network carry what is said at `step`, (E,); None: all. `hear` lets nothing be heard along others."""
        now = self.network.tied(step)
        if self.closed is None:
            return now
        return ~self.closed if now is None else now & ~self.closed

    def allowed(self, step: int, agents: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Which of the choices `agents` (n,) may take at `step`, (n, C); None: all. A choice not allowed counts as none."""
        return None

    def called(self, agent: int) -> str:
        """What an agent is called: as this world knows it, or by a name of ours."""
        return self.names[agent] if self.names else name_of(agent)

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
        if self._turned is None or self._turned[0] != self.step:
            turn = np.zeros(self.network.size, dtype=bool)
            turn[self.active(self.step)] = True
            self._turned = self.step, turn
        return self._turned[1]
