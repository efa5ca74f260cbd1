"""Sentence vectors that several instruments share, so that a text is encoded once a run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contagium.agents.weights import MINILM, fetch
from contagium.sim.observer.language.words import latin

if TYPE_CHECKING:
    from contagium.sim.observer.language.encoder import Encoder

Array = NDArray[np.float32]

REMEMBERED = 4096  # texts whose vectors are kept (9 kB each): written lines are said over and over
PART = 512  # texts encoded at a time, so that a step of any size fits into memory


class Vectors:
    """The encoder in `folder`, loaded when first needed, and what it made of the last texts. Safe in several threads.

    folder: a sentence-transformers BERT model; None for MiniLM, fetched once into the user's cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._encoder: Encoder | None = None
        self._known: dict[bytes, Array] = {}
        self._lock = RLock()

    @property
    def encoder(self) -> Encoder:
        """Raises `WeightsError` where the model cannot be had, ValueError or OSError where it is not one."""
        from contagium.sim.observer.language.encoder import Encoder  # heavy, and of no use to a run without texts

        with self._lock:
            if self._encoder is None:
                self._encoder = Encoder(self._folder or fetch(MINILM))
            return self._encoder

    def __call__(self, texts: Sequence[str]) -> Array:
        """Unit vectors (n, blocks, width), 9 kB a text; NaN for a text the encoder knows no word of."""
        keys = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
        with self._lock:  # a second reader of the same step waits, and then finds its texts known
            fresh = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
            if fresh:
                self._known.update(zip(fresh, self.encoder(list(fresh.values())), strict=True))
            vectors = np.stack([self._known[key] for key in keys])
            for key in list(self._known)[: max(0, len(self._known) - REMEMBERED)]:  # the oldest go
                del self._known[key]
        return vectors

    def score(self, texts: Sequence[str], score: Callable[[Array], Array], columns: int, english: bool) -> Array:
        """What `score` makes of the vectors, (n, columns). english: a text with letters none of which are Latin is NaN."""
        values = np.full((len(texts), columns), np.nan, dtype=np.float32)
        rows = [row for row, text in enumerate(texts) if not english or latin(text)]
        for start in range(0, len(rows), PART):
            part = rows[start : start + PART]
            values[part] = score(self([texts[row] for row in part]))
        return values

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Which model, and the SHA-256 of its weights."""
        if self._folder is None:
            return {"model": f"{MINILM.package} {MINILM.version}", "sha256": MINILM.members[0].sha256}
        with (self._folder / "model.safetensors").open("rb") as file:
            return {"model": self._folder.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


@lru_cache(maxsize=2)
def vectors(folder: Path | None = None) -> Vectors:
    """The one `Vectors` of this process for a model."""
    return Vectors(folder)
