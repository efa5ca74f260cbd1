"""Persona by its voice: how near a text lies to sentences in that voice, whatever words it uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.agents.persona import Persona
from contagium.agents.weights import MINILM, fetch
from contagium.envs.message import Axes
from contagium.sim.observer.instrument import Material, Readings
from contagium.sim.observer.texts import read_texts

Row = NDArray[np.float32]

REMEMBERED = 16384  # texts whose scores are kept: written lines are said over and over


class Embedding:
    """For each persona with prototypes a column `<persona>`: the mean cosine to the `nearest` prototypes, in [-1, 1].

    The mean of a few is steadier than the single nearest, and unlike the mean of all it lets a persona have several moods.
    Rounded to four decimals, so that the order in which texts are batched cannot show. A text of which the encoder knows no
    word is a failed reading. folder: a sentence-transformers BERT model; None for MiniLM, fetched once into the user's cache. A
    run without words never loads it.
    """

    def __init__(self, name: str = "embedding", folder: Path | None = None, nearest: Annotated[int, Field(ge=1)] = 3) -> None:
        if nearest < 1:
            raise ValueError(f"nearest must be at least 1, got {nearest}")
        self.name = name
        self._folder = folder
        self._nearest = nearest
        self._personas: tuple[Persona, ...] = ()
        self._encode: Callable[[Sequence[str]], NDArray[np.float32]] | None = None
        self._prototypes: list[NDArray[np.float32]] = []
        self._known: dict[str, Row] = {}

    def begin(self, axes: Axes, personas: tuple[Persona, ...], speaks: bool = False) -> None:
        self._personas = tuple(persona for persona in personas if persona.prototypes)
        self._prototypes = []
        self._known = {}
        if speaks and self._personas:
            self._load()

    def read(self, material: Material) -> Readings:
        return read_texts(self.name, tuple(p.name for p in self._personas), material.messages, self._score)

    def _score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        fresh = list(dict.fromkeys(text for text in texts if text not in self._known))
        if fresh:
            self._known.update(zip(fresh, self._compare(fresh), strict=True))
        scores = np.array([self._known[text] for text in texts], dtype=np.float32)
        for text in list(self._known)[: max(0, len(self._known) - REMEMBERED)]:  # the oldest go
            del self._known[text]
        return scores

    def _compare(self, texts: list[str]) -> NDArray[np.float32]:
        """Scores (n, personas)."""
        spoken = self._load()(texts)
        scores = [np.sort(spoken @ p.T, axis=1)[:, -self._nearest :].mean(axis=1) for p in self._prototypes]
        return np.round(np.stack(scores, axis=1), 4)

    def _load(self) -> Callable[[Sequence[str]], NDArray[np.float32]]:
        """The encoder, and the prototypes encoded; at once where there will be words, else when the first text arrives."""
        if self._encode is None:
            from contagium.sim.observer.encoder import Encoder  # heavy, and of no use to a run without texts

            self._encode = Encoder(self._folder or fetch(MINILM))
        if not self._prototypes:
            self._prototypes = [self._encode(persona.prototypes) for persona in self._personas]
            for persona, vectors in zip(self._personas, self._prototypes, strict=True):
                if np.isnan(vectors).any():
                    raise ValueError(f"prototypes of {persona.name} must have words the encoder knows, got {persona.prototypes}")
        return self._encode
