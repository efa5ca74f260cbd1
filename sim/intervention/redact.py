"""Words taken out of what is heard."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from contagium.envs.message import Messages
from contagium.sim.intervention.base import Ground, Intervention, Moment, Passage, Point
from contagium.sim.intervention.marks import Marks, Phrases, chosen, must_use_words, reworded
from contagium.sim.intervention.prompt import Words


class Redact(Intervention):
    """`mask` is heard for words in what agents in the scope say. Logged: `edited`, with the text as it was heard.

    words: these. None: those of all facets of `persona` (None: of any that spreads in this run), or of its `facets`.

    Where all facets go, so does the strain, for every kind of hearer: on its axis a message that states it, or whose text loses
    words, is heard as 0. Otherwise the axis stays, for numbers cannot lose a word: hearers that go by numbers then hear what the
    message said, as it was or is read.
    """

    points: ClassVar[tuple[Point, ...]] = ("transit",)

    def __init__(
        self, words: Phrases | None = None, persona: str | None = None, facets: Phrases | None = None, mask: Words = "[removed]"
    ) -> None:
        if words is not None and (persona is not None or facets is not None):
            raise ValueError("give either words, or a persona and its facets")
        self._words, self._persona, self._facets, self._mask = words, persona, facets, mask

    def begin(self, ground: Ground) -> None:
        self._strains: dict[int, Marks] = {}
        if self._words is not None:
            self._marks = Marks(self._words)
        else:
            personas = chosen(ground, self._persona)
            known = {facet for persona in personas for facet in persona.facets}
            if unknown := [facet for facet in self._facets or () if facet not in known]:
                raise ValueError(f"no facet {unknown[0]!r}; there are: {', '.join(sorted(known))}")
            gone = known if self._facets is None else set(self._facets)
            marks = {p.name: [word for facet in p.facets if facet in gone for word in p.facets[facet]] for p in personas}
            self._marks = Marks(word for words in marks.values() for word in words)
            lost = [persona.name for persona in personas if gone.issuperset(persona.facets)]
            self._strains = {ground.axes.index(name): Marks(marks[name]) for name in lost}
        if not self._strains:
            must_use_words(ground, "taking words out")

    async def transit(self, moment: Moment, messages: Messages) -> Passage:
        new = reworded(messages, moment.among, lambda text: self._marks.replaced(text, self._mask))
        expression, touched = messages.expression, moment.among[messages.sender]
        for axis, marks in self._strains.items():
            cut = [i for i in new if marks.stand_in(messages.text[i])]
            loses = touched & ((expression[:, axis] > 0) | np.isin(messages.id, cut))
            if loses.any():
                expression = expression.copy()
                expression[loses, axis] = 0
        if not new and expression is messages.expression:
            return Passage.free(messages)
        return Passage.free(replace(messages, text={**messages.text, **new}, expression=expression))
