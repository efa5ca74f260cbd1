"""Persona by its voice: how near a text lies to sentences in that voice, whatever words it uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.agents.persona import Persona
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.language.vectors import vectors
from contagium.sim.observer.language.words import latin
from contagium.sim.observer.texts import fingerprint, read_texts_aside


class Embedding:
    """For each persona with prototypes a column `<persona>`: the mean cosine to the `nearest` prototypes, in [-1, 1].

    The mean of a few is steadier than the single nearest, and unlike the mean of all it lets a persona have several moods.
    Rounded to four decimals, so that the order in which texts are batched cannot show. A text of which the encoder knows no
    word is a failed reading, and, where all prototypes are in Latin letters, one with letters none of which are. folder: see
    `Vectors`. A run without words never loads it.
    """

    public = True

    def __init__(self, name: str = "embedding", folder: Path | None = None, nearest: Annotated[int, Field(ge=1)] = 3) -> None:
        if nearest < 1:
            raise ValueError(f"nearest must be at least 1, got {nearest}")
        self.name = name
        self._vectors = vectors(folder)
        self._nearest = nearest
        self._personas: tuple[Persona, ...] = ()
        self._prototypes: list[NDArray[np.float32]] = []
        self._english = True

    def begin(self, briefing: Briefing) -> None:
        self._personas = tuple(persona for persona in briefing.personas if persona.prototypes)
        self._english = all(latin(sentence) for persona in self._personas for sentence in persona.prototypes)
        self._prototypes = []
        if briefing.speaks:
            self._encode()

    async def read(self, material: Material) -> list[Readings]:
        return await read_texts_aside(self.name, tuple(p.name for p in self._personas), material, self._score)

    @property
    def provenance(self) -> dict[str, Any]:
        prototypes = {persona.name: fingerprint(*persona.prototypes) for persona in self._personas}
        return self._vectors.provenance | {"nearest": self._nearest, "prototypes": prototypes}

    def _score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        prototypes = self._prototypes or self._encode()
        return self._vectors.score(texts, lambda spoken: self._compare(spoken[:, -1], prototypes), len(prototypes), self._english)

    def _compare(self, spoken: NDArray[np.float32], prototypes: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Scores (n, personas) of sentence vectors (n, width)."""
        scores = [np.sort(spoken @ p.T, axis=1)[:, -self._nearest :].mean(axis=1) for p in prototypes]
        return np.round(np.stack(scores, axis=1), 4)

    def _encode(self) -> list[NDArray[np.float32]]:
        """The prototypes' vectors; at once where there will be words, else when the first text arrives."""
        prototypes = [self._vectors(persona.prototypes)[:, -1] for persona in self._personas]
        for persona, vectors_of in zip(self._personas, prototypes, strict=True):
            if np.isnan(vectors_of).any():
                raise ValueError(f"prototypes of {persona.name} must have words the encoder knows, got {persona.prototypes}")
        self._prototypes = prototypes
        return prototypes
