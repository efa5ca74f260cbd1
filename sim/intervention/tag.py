"""Messages marked for their readers."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from contagium.agents.policy import Pin
from contagium.envs.message import Messages
from contagium.sim.intervention.base import Ground, Intervention, Moment, Passage, Point
from contagium.sim.intervention.marks import must_use_words, reworded
from contagium.sim.intervention.prompt import Words


class Tag(Intervention):
    """`text` stands before what agents in the scope say. Logged: `edited`, with the text as it was heard.

    A message that begins with it already, as where it was copied, gets no second one. It is for readers of words, best with an
    instruction what to make of it (`prompt.Instruct`): together, not alone, they stopped most of a prompt infection.
    Source: Lee & Tiwari 2024 (arXiv 2410.07283).
    """

    points: ClassVar[tuple[Point, ...]] = ("transit",)

    def __init__(self, text: Words) -> None:
        self._text = text

    def begin(self, ground: Ground) -> None:
        must_use_words(ground, "a tag")
        if not ground.undergoes(Pin).any():
            raise ValueError("a tag is for those who read words, and nobody here does")

    async def transit(self, moment: Moment, messages: Messages) -> Passage:
        new = reworded(messages, moment.among, self._tagged)
        return Passage.free(replace(messages, text={**messages.text, **new}) if new else messages)

    def _tagged(self, said: str) -> str:
        return said if said.lstrip().startswith(self._text) else f"{self._text} {said}"
