"""What is made of what the observer saw: told back to agents, or learned from by whoever stands in the way."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, StringConstraints

from contagium.envs.message import Messages
from contagium.sim.intervention.base import Ground, Intervention, Moment, Passage, Point
from contagium.sim.intervention.hands import Hands
from contagium.sim.intervention.prompt import Words
from contagium.sim.intervention.rhythm import Every
from contagium.sim.observer.observer import Seen

VALUE = "{value}"
LETTERS = re.compile(r"[^\W\d_]+")
SHORTEST, SELDOM = 4, 2
"""Letters under which a word tells too little to be learned, and times it must have been said."""


class Feedback(Intervention):
    """Agents in the scope are told what the monitor made of what they just said. Logged: `told`.

    measure: an axis or other measure of the observer. text: in it {value} is replaced by the reading, to one decimal. A message
    that was not read brings no feedback.
    """

    points: ClassVar[tuple[Point, ...]] = ("prompt", "monitor")

    def __init__(self, text: Words, measure: str) -> None:
        self._text, self._measure = text, measure

    def begin(self, ground: Ground) -> None:
        if self._measure not in ground.measures:
            raise ValueError(f"nothing is known of {self._measure!r}; there are: {', '.join(ground.measures) or 'none'}")

    def after(self, moment: Moment, sent: Messages, seen: Seen, hands: Hands) -> None:
        value, sender = seen.measured[self._measure], sent.sender
        at = np.flatnonzero(moment.among[sender] & ~np.isnan(value))
        shown = np.array([f"{one:.1f}" for one in value[at].tolist()])
        for one in np.unique(shown).tolist():
            hands.tell(sender[at[shown == one]], self._text.replace(VALUE, one))


class Bumper(Intervention):
    """Withholds what agents in the scope say when a word of it begins with one of `words`. Logged: `withheld`, `learned`.

    every: None, the bumper is fixed; otherwise after each so many steps it learns up to `learns` words, `most` in all, of what
    passed it: words of agents that the observer calls cases, and of nobody who never was one; the most used first, and those of
    equal use by the alphabet. A word is letters alone, at least four, said in at least two messages. The log names from whom.
    """

    points: ClassVar[tuple[Point, ...]] = ("transit", "monitor")

    def __init__(
        self,
        words: Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^\w+$")], ...], Field(min_length=1)],
        every: Every = None,
        learns: Annotated[int, Field(ge=1)] = 3,
        most: Annotated[int, Field(ge=1)] = 100,
    ) -> None:
        self.words = tuple(word.casefold() for word in words)
        self._every, self._learns, self._left = every, learns, most
        self._passed: dict[int, Counter[str]] = defaultdict(Counter)

    def begin(self, ground: Ground) -> None:
        self._ever = np.zeros(len(ground.among), dtype=bool)

    def before(self, moment: Moment, hands: Hands) -> None:
        self._ever |= moment.is_case
        if self._every is not None and moment.step and moment.step % self._every == 0:
            self._learn(moment, hands)

    async def transit(self, moment: Moment, messages: Messages) -> Passage:
        withheld = np.zeros(len(messages), dtype=bool)
        for k in np.flatnonzero(moment.among[messages.sender]).tolist() if messages.text else ():
            said = _words(messages.text.get(int(messages.id[k]), ""))
            withheld[k] = any(word.startswith(self.words) for word in said)
            if self._every is not None and not withheld[k]:
                self._passed[int(messages.sender[k])].update(said)
        return Passage(messages, withheld)

    def _learn(self, moment: Moment, hands: Hands) -> None:
        cases = [agent for agent in self._passed if moment.is_case[agent]]
        others = [agent for agent in self._passed if not self._ever[agent]]
        if not others:  # without them, every word would be one of cases alone
            return
        plain = set[str]().union(*(self._passed[agent] for agent in others))
        said: Counter[str] = sum((self._passed[agent] for agent in cases), Counter())
        often = [word for word, times in said.items() if times >= SELDOM and len(word) >= SHORTEST]
        telling = (word for word in sorted(often, key=lambda word: (-said[word], word)) if self._is_new(word, plain))
        learned = list(islice(telling, min(self._learns, self._left)))
        if learned:
            self.words, self._left = (*self.words, *learned), self._left - len(learned)
            of = [agent for agent in cases if any(word in self._passed[agent] for word in learned)]
            hands.learn(np.array(sorted(of), dtype=np.int64), ", ".join(learned))

    def _is_new(self, word: str, plain: Iterable[str]) -> bool:
        """Whether it is not looked for yet, and what others say does not begin with it."""
        return not word.startswith(self.words) and not any(other.startswith(word) for other in plain)


def _words(text: str) -> set[str]:
    return set(LETTERS.findall(text.casefold()))
