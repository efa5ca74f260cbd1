"""Affect, distress and personas as directions among sentence vectors, fitted from contrast sentences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contagium.agents.weights import cache_folder
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.language.directions import FOLDS, METHOD, Contrast, Fit, fit, keep, load, read_contrasts, tasks
from contagium.sim.observer.language.vectors import vectors
from contagium.sim.observer.language.words import latin
from contagium.sim.observer.texts import fingerprint, read_texts_aside


class Direction:
    """A column for each scale of the contrast sentences (valence, arousal, dominance, distress, awe), in its range, and a column
    `<persona>` in [0, 1] for each persona with contrast sentences: how probably a text is of that voice, all else equal.

    A text in the middle of a scale reads its middle. Rounded to three decimals of the range, so that the order in which texts are
    batched cannot show. Fails as `Embedding` does. folder: see `Vectors`. contrasts: another file like conf/contrasts.yaml. kept:
    where fits are kept, None for the user's cache.
    """

    public = True

    def __init__(
        self, name: str = "direction", folder: Path | None = None, contrasts: Path | None = None, kept: Path | None = None
    ) -> None:
        self.name = name
        self._vectors = vectors(folder)
        self._contrasts = read_contrasts(contrasts)
        self._kept = kept
        self._tasks: dict[str, Contrast] = {}
        self._fits: dict[str, Fit] = {}
        self._english = True

    def begin(self, briefing: Briefing) -> None:
        found = list(tasks(self._contrasts, briefing.personas))
        self._tasks, self._fits = dict(found), {}
        if len(self._tasks) < len(found):
            raise ValueError(f"{self.name}: a persona may not be named like a scale of its contrast sentences")
        self._english = all(latin(text) for contrast in self._tasks.values() for text in contrast.texts)
        if briefing.speaks:
            self._fit()

    async def read(self, material: Material) -> list[Readings]:
        return await read_texts_aside(self.name, tuple(self._tasks), material, self._score)

    @property
    def provenance(self) -> dict[str, Any]:
        """Also how well each direction tells left-out contrast sentences apart, once it has been fitted."""
        sentences = {column: fingerprint(*c.texts, c.target.tobytes()) for column, c in self._tasks.items()}
        checks = {
            column: {"auc": round(f.auc, 4), "accuracy": round(f.accuracy, 4), "high": f.high, "low": f.low, "folds": FOLDS}
            for column, f in self._fits.items()
        }
        return self._vectors.provenance | {"method": METHOD, "contrasts": sentences, "cross_validated": checks}

    def _score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        fits = self._fits or self._fit()
        scales = [self._contrasts.scales.get(column, (0.0, 1.0)) for column in fits]

        def place(spoken: NDArray[np.float32]) -> NDArray[np.float32]:
            flat = spoken.reshape(len(spoken), -1)
            shares = [np.round(f(flat), 3) for f in fits.values()]
            return np.stack([low + (high - low) * p for (low, high), p in zip(scales, shares, strict=True)], axis=1)

        return self._vectors.score(texts, place, len(fits), self._english)

    def _fit(self) -> dict[str, Fit]:
        """The fits of all columns: at once where there will be words, else when the first text arrives."""
        self._fits = {column: self._fit_one(column, contrast) for column, contrast in self._tasks.items()}
        return self._fits

    def _fit_one(self, column: str, contrast: Contrast) -> Fit:
        encoder = self._vectors.encoder
        key = contrast.key(self._vectors.provenance["sha256"])
        path = (self._kept or cache_folder() / "directions") / f"{key}.npz"
        if found := load(path, key, encoder.blocks * encoder.width):
            return found
        spoken = self._vectors(contrast.texts)
        if np.isnan(spoken).any():
            raise ValueError(f"{self.name}: contrast sentences of {column} must have words the encoder knows")
        made = fit(spoken.reshape(len(spoken), -1), contrast.target)
        keep(made, path, key)
        return made
