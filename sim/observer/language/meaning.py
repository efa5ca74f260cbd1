"""What texts mean, as a likeness for retrieval memories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from contagium.sim.observer.language.vectors import Array, vectors

REMEMBERED = 2**15  # texts whose vectors are kept (1.5 kB each): memories hold the same posts


class Meaning:
    """How like texts are in what they mean: the cosine of their sentence vectors, in [−1, 1].

    A text that the encoder knows no word of is like none. The encoder's weights are fetched once, when they are first needed.
    Source: Reimers & Gurevych 2019.
    """

    def __init__(self) -> None:
        self._known: dict[str, Array] = {}

    def __deepcopy__(self, memo: object) -> Self:
        """Itself: what it knows is the same for every memory."""
        return self

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        wanted = [query, *texts]
        fresh = [text for text in dict.fromkeys(wanted) if text not in self._known]
        if fresh:
            self._known.update(zip(fresh, vectors()(fresh)[:, -1].copy(), strict=True))
        means = np.stack([self._known[text] for text in wanted])
        for text in list(self._known)[: max(0, len(self._known) - REMEMBERED)]:  # the oldest go
            del self._known[text]
        alike: list[float] = np.nan_to_num(means[1:] @ means[0], nan=0.0).tolist()
        return alike
