"""A filter of what is said openly."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.agents.persona import Persona
from contagium.envs.message import SHOWN, Messages
from contagium.sim.intervention.base import Ground, Intervention, Moment, Passage, Point
from contagium.sim.intervention.marks import Marks, Phrases, chosen, must_use_words
from contagium.sim.observer.instrument import Material
from contagium.sim.observer.instruments.persona_lexicon import PersonaLexicon

Score = Annotated[float, Field(gt=0, le=1)]


class OvertFilter(Intervention):
    """Withholds what agents in the scope say openly; what is only hinted at passes. Logged: `withheld`.

    words: a message in which one of them stands. None: a message in which the persona lexicon reads `persona` (None: any that
    spreads in this run) at `threshold` or above (None: from where on the lexicon takes it for a sign of that persona); without
    words, one that states the strain outright, from 0.5 on. What the lexicon cannot read passes.
    """

    points: ClassVar[tuple[Point, ...]] = ("transit",)

    def __init__(self, words: Phrases | None = None, persona: str | None = None, threshold: Score | None = None) -> None:
        if words is not None and (persona is not None or threshold is not None):
            raise ValueError("give either words, or a persona and its threshold")
        self._marks = None if words is None else Marks(words)
        self._persona, self._threshold = persona, threshold

    def begin(self, ground: Ground) -> None:
        if self._marks is not None:
            must_use_words(ground, "a filter of words")
            return
        personas = chosen(ground, self._persona)
        self._lexicon = PersonaLexicon()
        self._lexicon.begin(replace(ground.briefing, personas=personas))
        self._from = {persona.name: self._enter(persona) for persona in personas}
        self._strains = [ground.axes.index(persona.name) for persona in personas]

    async def transit(self, moment: Moment, messages: Messages) -> Passage:
        overt = await self._shows(moment, messages) if self._marks is None else self._says(self._marks, messages)
        return Passage(messages, overt & moment.among[messages.sender])

    def _enter(self, persona: Persona) -> float:
        if self._threshold is not None:
            return self._threshold
        if self._lexicon.name not in persona.detection:
            raise ValueError(f"threshold must be given: persona {persona.name} has none for the {self._lexicon.name}")
        return persona.detection[self._lexicon.name].enter

    def _says(self, marks: Marks, messages: Messages) -> NDArray[np.bool_]:
        return np.isin(messages.id, [i for i, text in messages.text.items() if marks.stand_in(text)])

    async def _shows(self, moment: Moment, messages: Messages) -> NDArray[np.bool_]:
        shows: NDArray[np.bool_] = np.any(messages.expression[:, self._strains] >= SHOWN, axis=1)
        for read in await self._lexicon.read(Material(moment.step, messages)) if messages.text else ():
            values = read.on(tuple(self._from))
            shows[messages.rows(read.ids)] |= np.any(values >= list(self._from.values()), axis=1)
        return shows
