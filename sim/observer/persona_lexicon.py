"""Persona by its words: how many of a persona's facets a text marks, and how strongly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contagium.agents.persona import Persona
from contagium.envs.message import Axes
from contagium.sim.observer.instrument import Material, Readings
from contagium.sim.observer.texts import read_texts
from contagium.sim.observer.words import Phrases, folded


class PersonaLexicon:
    """For each persona with facets a column `<persona>`, then one `<persona>.<facet>` for each facet, all in [0, 1].

    A facet of which h different phrases are asserted scores s = 1 − 2⁻ʰ. The persona scores x² / (1 + x²) with x = Σ s over its
    facets: a single word stays weak evidence (0.2: a spiral staircase), two facets marked once each make one half.
    """

    def __init__(self, name: str = "persona_lexicon") -> None:
        self.name = name
        self._facets: list[list[Phrases]] = []
        self._columns: tuple[str, ...] = ()

    def begin(self, axes: Axes, personas: tuple[Persona, ...], speaks: bool = False) -> None:
        marked = [persona for persona in personas if persona.facets]
        self._facets = [[Phrases(phrases) for phrases in persona.facets.values()] for persona in marked]
        self._columns = tuple(column for p in marked for column in (p.name, *(f"{p.name}.{facet}" for facet in p.facets)))

    def read(self, material: Material) -> Readings:
        return read_texts(self.name, self._columns, material.messages, self._score)

    def _score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([self._row(folded(text)) for text in texts], dtype=np.float32)

    def _row(self, text: str) -> list[float]:
        row: list[float] = []
        for facets in self._facets:
            scores = [1 - 0.5 ** phrases.asserted(text) for phrases in facets]
            x = sum(scores)
            row += [x * x / (1 + x * x), *scores]
        return row
