"""Persona by its words: how many of a persona's facets a text marks, and how strongly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contagium.agents.persona import Persona
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.language.words import Phrases, latin, pieces
from contagium.sim.observer.texts import fingerprint, read_texts


class PersonaLexicon:
    """For each persona with facets a column `<persona>`, then one `<persona>.<facet>` for each facet, all in [0, 1].

    A facet of which h different phrases are asserted scores s = 1 − 2⁻ʰ. The persona scores x² / (1 + x²) with x = Σ s over its
    facets: a single word stays weak evidence (0.2: a spiral staircase), two facets marked once each make one half. Where all
    phrases are in Latin letters, a text with letters none of which are Latin is a failed reading.
    """

    public = True

    def __init__(self, name: str = "persona_lexicon") -> None:
        self.name = name
        self._take(())

    def begin(self, briefing: Briefing) -> None:
        self._take(tuple(persona for persona in briefing.personas if persona.facets))

    async def read(self, material: Material) -> list[Readings]:
        return read_texts(self.name, self._columns, material, self._score)

    @property
    def provenance(self) -> dict[str, Any]:
        return {"facets": {p.name: fingerprint(*(f"{facet} {word}" for facet, word in _marks(p))) for p in self._personas}}

    def _take(self, personas: tuple[Persona, ...]) -> None:
        self._personas = personas
        self._columns = tuple(column for p in personas for column in (p.name, *(f"{p.name}.{facet}" for facet in p.facets)))
        self._starts = [self._columns.index(persona.name) for persona in personas] + [len(self._columns)]
        marks = [(f"{persona.name}.{facet}", word) for persona in personas for facet, word in _marks(persona)]
        self._facet = [self._columns.index(column) for column, _ in marks]  # column of each phrase
        self._phrases = Phrases(word for _, word in marks)
        self._latin = all(latin(word) for _, word in marks)

    def _score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), len(self._columns)), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            if self._latin and not latin(text):
                row[:] = np.nan
            elif asserted := self._phrases.asserted(pieces(text)):
                for phrase in asserted:
                    row[self._facet[phrase]] += 1
                row[:] = 1 - 0.5**row
        for persona, facets in zip(self._starts, self._starts[1:], strict=False):
            x = rows[:, persona + 1 : facets].sum(axis=1)
            rows[:, persona] = x * x / (1 + x * x)
        return rows


def _marks(persona: Persona) -> list[tuple[str, str]]:
    return [(facet, phrase) for facet, phrases in persona.facets.items() for phrase in phrases]
