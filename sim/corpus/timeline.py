"""From messages in order of time to steps, and to who had heard what when it spoke."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from contagium.envs.message import Channel

Steps = Literal["turns", "causal", "given"]
Hears = Literal["thread", "earlier"]

MOST_EXPOSURES = 50_000_000
"""More are refused: they would take hours and tens of gigabytes."""


class Heard(NamedTuple):
    """`agent` hears these messages (ids) before step + 1."""

    step: int
    agent: int
    messages: list[int]


class Timeline:
    """Gives each message, told in order of time, its step, and says what its sender had heard by then.

    A message comes at a later step than all that its sender said or heard before. Steps: "turns" begin a new one for everybody
    whenever that demands it, so that steps follow time; "causal" moves the sender alone, so that conversations without a link
    run beside each other, each at its own pace (the logical clock of Lamport 1978); "given" are told.

    An agent hears just before it speaks, and at most the `most` newest messages, of what was said since it last spoke: to it;
    in the threads in which it has spoken; in the one in which it is about to speak for the first time, all from the beginning
    (hears="thread") or nothing ("earlier"); and on the board, there without what stands in its own step. What it answers it has
    heard in any case, and hears again. What is said to those who never speak again is heard by nobody: nothing could be read off
    them.

    size: agents. turns: (size,) messages that each of them says. ValueError: an agent speaks twice in a given step, or there are
    too many exposures.
    """

    def __init__(self, size: int, turns: Sequence[int], steps: Steps = "turns", hears: Hears = "thread", most: int | None = None):
        self._size, self._left = size, list(turns)
        self._mode, self._hears, self._most = steps, hears, most
        self._now = 0  # the step of the newest message
        self._free = [0] * size  # the first step at which each agent could speak
        self._told: defaultdict[int, deque[int]] = defaultdict(lambda: deque(maxlen=most))  # to it alone, not yet heard
        self._said: defaultdict[int, list[int]] = defaultdict(list)  # by thread
        # How many messages of a thread a member has heard: by thread where that is all, by member where it is not.
        self._through: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self._news: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self._board: list[int] = []
        self._read = [0] * size  # messages of the board that each agent is through with
        self.exposures = 0

    def say(
        self,
        sender: int,
        channel: Channel,
        thread: int | None,
        to: Iterable[int] = (),
        given: int | None = None,
        answers: int = -1,
    ) -> tuple[int, Heard]:
        """The id of a message, which is step × size + sender, and what its sender had heard. answers: id, −1 for none."""
        joins = channel is Channel.GROUP and thread is not None and sender not in self._through[thread]
        if joins and thread is not None and thread not in self._news[sender]:
            self._news[sender][thread] = 0 if self._hears == "thread" else len(self._said[thread])
        heard = self._heard(sender)
        step = self._step(sender, channel, heard, answers, given)
        message = step * self._size + sender
        self._now, self._free[sender] = max(self._now, step), step + 1
        self._left[sender] -= 1
        heard = [m for m in heard if m // self._size < step] + self._posted(sender, step)
        self._settle(sender, step)
        told = sorted({m for m in heard if m % self._size != sender})
        told = told[-self._most :] if self._most else told
        if answers >= 0 and answers % self._size != sender and answers not in told:
            told = sorted([*told, answers])
        self._count(len(told))
        self._tell(message, sender, channel, thread, to)
        return message, Heard(step - 1, sender, told)

    def show(self, agent: int, messages: Iterable[int]) -> Heard:
        """An agent is shown messages (ids) of earlier, which it then has heard, whether it speaks later or not."""
        others = sorted({m for m in messages if m % self._size != agent})
        newest = max(others, default=0) // self._size
        now = self._now if self._mode == "turns" else self._free[agent]
        step = max(now - 1, newest)
        self._free[agent] = max(self._free[agent], step + 1)
        self._count(len(others))
        return Heard(step, agent, others)

    def _heard(self, agent: int) -> list[int]:
        """What was said to an agent or in its threads and is new to it."""
        new = list(self._told.get(agent, ()))
        for thread, first in self._news[agent].items():
            said = self._said[thread]
            new += said[max(first, len(said) - self._most - 1) if self._most else first :]
        return new

    def _settle(self, agent: int, step: int) -> None:
        """An agent is through with all from before `step`, by which its messages and those of a thread are in order."""
        left = [m for m in self._told.pop(agent, ()) if m // self._size >= step]
        if left:
            self._told[agent].extend(left)
        for thread, first in self._news.pop(agent, {}).items():
            said = self._said[thread]
            end = bisect_left(said, step, lo=first, key=lambda m: m // self._size)
            (self._through[thread] if end == len(said) else self._news[agent])[agent if end == len(said) else thread] = end

    def _step(self, sender: int, channel: Channel, heard: list[int], answered: int, given: int | None) -> int:
        """The step of what `sender` says now. answered: id, −1 for none."""
        if given is not None:
            if given < max(self._free[sender], answered // self._size + 1):
                raise ValueError(f"speaks again, or answers, in the same step ({given}): try transcript.steps=turns")
            return given
        newest = max([answered, *heard]) // self._size
        last = self._board[-1] // self._size if self._board and channel is Channel.BOARD else 0
        return max(self._free[sender], newest + 1, self._now if self._mode == "turns" else last)

    def _posted(self, sender: int, step: int) -> list[int]:
        """What stands on the board from before `step`, by which it is in order, and is new to `sender`."""
        first = self._read[sender]
        end = self._read[sender] = bisect_left(self._board, step, lo=first, key=lambda m: m // self._size)
        return self._board[max(first, end - self._most - 1) if self._most else first : end]

    def _tell(self, message: int, sender: int, channel: Channel, thread: int | None, to: Iterable[int]) -> None:
        """Bring a message to those who will hear it."""
        if channel is Channel.BOARD:
            self._board.append(message)
            return
        if channel is Channel.GROUP and thread is not None:
            # Who was through with the thread has news of it now; so a large thread costs no more than a small one.
            for member, heard in self._through.pop(thread, {}).items():
                if member != sender:
                    self._news[member][thread] = heard
            self._said[thread].append(message)
            if thread not in self._news[sender]:
                self._through[thread][sender] = len(self._said[thread])
        for agent in set(to) - {sender}:
            if self._left[agent]:
                self._told[agent].append(message)

    def _count(self, more: int) -> None:
        self.exposures += more
        if self.exposures > MOST_EXPOSURES:
            hint = "bound by transcript.most=… what is heard before each message"
            raise ValueError(f"more than {MOST_EXPOSURES:,} exposures: {hint}")
