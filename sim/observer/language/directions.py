"""Directions among sentence vectors, fitted from contrast sentences: what they are fitted from, the fit, and how it is kept.

A direction is a ridge logistic regression on the vectors after every block of the encoder, with both poles weighted alike, and
its output made a probability again on sentences it was not fitted on (Platt 1999). Everything is deterministic.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.optimize import minimize
from scipy.special import expit

from contagium.agents.persona import Contrast as Voice
from contagium.agents.persona import Persona
from contagium.agents.weights import say
from contagium.sim.observer.roc import area
from contagium.sim.observer.texts import fingerprint

Array = NDArray[np.float64]

FOLDS = 10
RIDGES = (1.0, 0.3, 0.1, 0.03)  # weight of the squared length against the loss, with vectors centred and of mean square length 1
METHOD = f"ridge logistic, ridge of {RIDGES} by {FOLDS} folds, Platt"
"""Names how a direction is fitted: part of the key under which a fit is kept, to be changed with the method."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where the library was built with it

Text = Annotated[str, Field(min_length=1)]


class Group(BaseModel):
    """Sentences that have the same place on some scales. places: scale → value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    places: dict[str, float] = Field(default_factory=dict)
    sentences: Annotated[tuple[Text, ...], Field(min_length=1)]


class Contrasts(BaseModel):
    """Contrast sentences as data, see conf/contrasts.yaml. scales: column → lowest and highest value. personas: by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    scales: dict[str, tuple[float, float]]
    groups: Annotated[dict[str, Group], Field(min_length=1)]
    personas: dict[str, Voice] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _places_lie_on_scales(self) -> Contrasts:
        for column, (low, high) in self.scales.items():
            if low >= high:
                raise ValueError(f"scale {column}: the lowest value must be below the highest, got {low:g} and {high:g}")
        for name, group in self.groups.items():
            for column, value in group.places.items():
                low, high = self.scales.get(column, (np.inf, -np.inf))
                if not low <= value <= high:
                    raise ValueError(f"group {name}: {column} {value:g} lies on no scale")
        return self


@dataclass(frozen=True)
class Contrast:
    """What one direction is fitted from: n sentences and their places, target (n,), from 0 at one pole to 1 at the other."""

    texts: tuple[str, ...]
    target: Array

    def __post_init__(self) -> None:
        poles = int(np.sum(self.target > 0.5)), int(np.sum(self.target < 0.5))
        if min(poles) < FOLDS:
            raise ValueError(f"a direction needs {FOLDS} sentences at each pole, got {poles[0]} and {poles[1]}")

    def key(self, encoder: str) -> str:
        """Names the fit: of these sentences, in these places, by this encoder, by this method."""
        return fingerprint(METHOD, encoder, *self.texts, self.target.tobytes())


@dataclass(frozen=True)
class Fit:
    """p = expit(vector · weight + offset). weight: (k,). auc, accuracy: of sentences left out of the fit, by cross-validation.

    high, low: sentences above and below the middle of the scale. accuracy is the mean of the poles' accuracies.
    """

    weight: Array
    offset: float
    auc: float
    accuracy: float
    high: int
    low: int

    def __call__(self, vectors: NDArray[np.float32]) -> Array:
        """The place of each of n vectors (n, k) between the poles, in [0, 1], shape (n,)."""
        return expit(vectors @ self.weight + self.offset)


@lru_cache(maxsize=4)
def read_contrasts(path: Path | None = None) -> Contrasts:
    """The contrast sentences in a file, None for those of conf/contrasts.yaml. ValueError (pydantic) says what is wrong."""
    source = files("contagium.conf") / "contrasts.yaml" if path is None else path
    return Contrasts.model_validate(yaml.load(source.read_text(encoding="utf-8"), Loader=LOADER))


def tasks(contrasts: Contrasts, personas: tuple[Persona, ...]) -> Iterator[tuple[str, Contrast]]:
    """Column and contrast of each scale, and of each persona with contrast sentences."""
    for column, (low, high) in contrasts.scales.items():
        placed = [(text, g.places[column]) for g in contrasts.groups.values() if column in g.places for text in g.sentences]
        yield column, _contrast(column, {text: (value - low) / (high - low) for text, value in placed})
    rest = [text for group in contrasts.groups.values() for text in group.sentences]
    for persona in personas:
        contrast = persona.contrast or contrasts.personas.get(persona.name)
        if contrast is not None:
            voice = (*persona.prototypes, *contrast.voice)
            others = dict.fromkeys((*contrast.lookalikes, *rest), 0.0)
            yield persona.name, _contrast(persona.name, others | dict.fromkeys(voice, 1.0))


def _contrast(column: str, places: Mapping[str, float]) -> Contrast:
    try:
        return Contrast(tuple(places), np.array(list(places.values()), dtype=np.float64))
    except ValueError as error:
        raise ValueError(f"{column}: {error}") from error


def fit(vectors: NDArray[np.float32], target: Array) -> Fit:
    """The direction along which n vectors (n, k) go from 0 to 1, with its error on sentences left out.

    Of the ridges the one that tells left-out sentences apart best is taken, which flatters the stated AUC a little.
    """
    high, low = target > 0.5, target < 0.5
    importance = np.where(high, len(target) / 2 / high.sum(), np.where(low, len(target) / 2 / low.sum(), 1.0))
    x = vectors.astype(np.float64)
    centre = x.mean(axis=0)
    x -= centre
    spread = np.sqrt(np.mean(np.sum(x * x, axis=1)))
    x /= spread
    tried = [(_left_out(x, target, importance, ridge), ridge) for ridge in RIDGES]
    held, ridge = max(tried, key=lambda one: area(one[0][high], one[0][low]))
    bottom, top = 1 / (low.sum() + 2), (high.sum() + 1) / (high.sum() + 2)  # no probability of exactly 0 or 1
    stretch, shift = _logistic(held[:, None], bottom + target * (top - bottom), importance, 0.0)
    slope, start = _logistic(x, target, importance, ridge)
    weight = slope * stretch[0] / spread
    offset = float(start * stretch[0] + shift - centre @ weight)
    right = (np.mean(stretch[0] * held[high] + shift > 0) + np.mean(stretch[0] * held[low] + shift < 0)) / 2
    return Fit(weight, offset, area(held[high], held[low]), float(right), int(high.sum()), int(low.sum()))


def load(path: Path, key: str, width: int) -> Fit | None:
    """A fit kept in a file, None where there is none or what lies there is broken or another's: then it is made again."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            weight, numbers, sizes = kept["weight"], kept["numbers"], kept["sizes"]
            if str(kept["key"]) != key or (weight.shape, numbers.shape, sizes.shape) != ((width,), (3,), (2,)):
                return None
            if not (np.isfinite(weight).all() and np.isfinite(numbers).all()):
                return None
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    offset, auc, accuracy = numbers.tolist()
    high, low = sizes.tolist()
    return Fit(weight, offset, auc, accuracy, high, low)


def keep(fit: Fit, path: Path, key: str) -> None:
    """Writes a fit, whole or not at all; says so where it cannot be kept, for then each run fits it again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fit-", dir=path.parent, ignore_cleanup_errors=True) as aside:
            numbers, sizes = np.array([fit.offset, fit.auc, fit.accuracy]), np.array([fit.high, fit.low])
            np.savez(Path(aside) / path.name, key=np.array(key), weight=fit.weight, numbers=numbers, sizes=sizes)
            os.replace(Path(aside) / path.name, path)
    except OSError as error:
        say(f"Cannot keep a fitted direction in {path.parent}: {error.strerror or error}")


def _left_out(x: Array, target: Array, importance: Array, ridge: float) -> Array:
    """The score of each sentence by a fit of the other folds, (n,)."""
    fold, held = _folds(target), np.empty(len(target))
    for k in range(FOLDS):
        out = fold == k
        slope, start = _logistic(x[~out], target[~out], importance[~out], ridge)
        held[out] = x[out] @ slope + start
    return held


def _folds(target: Array) -> NDArray[np.int64]:
    """The fold of each sentence, (n,): those in one place are dealt out in turn."""
    fold = np.empty(len(target), dtype=np.int64)
    for value in np.unique(target):
        rows = np.flatnonzero(target == value)
        fold[rows] = np.arange(len(rows)) % FOLDS
    return fold


def _logistic(x: Array, target: Array, importance: Array, ridge: float) -> tuple[Array, float]:
    """Slope (k,) and intercept of a ridge logistic regression; target (n,) may lie between 0 and 1."""

    def loss(b: Array) -> tuple[float, Array]:
        score = x @ b[:-1] + b[-1]
        error = importance * (expit(score) - target)
        value = importance @ (np.logaddexp(0, score) - target * score) + ridge / 2 * (b[:-1] @ b[:-1])
        return float(value), np.append(error @ x + ridge * b[:-1], error.sum())

    def curvature(b: Array, step: Array) -> Array:
        p = expit(x @ b[:-1] + b[-1])
        change = importance * p * (1 - p) * (x @ step[:-1] + step[-1])
        return np.append(change @ x + ridge * step[:-1], change.sum())

    # Not L-BFGS-B: its inner linear algebra starts threads that cost more than the work.
    best = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, hessp=curvature, method="Newton-CG")
    return best.x[:-1], float(best.x[-1])
