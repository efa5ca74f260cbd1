"""Banks of texts: the words in which mechanistic agents reach agents that read, chosen by what is expressed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from contagium.agents.persona import Persona
from contagium.envs.message import AFFECT, SHOWN, Axes

CELLS = 1 << 20  # distances held at a time, whatever the number of agents


class Bank:
    """Texts, each with its place on named axes.

    texts: T, none empty. expression: (T, K) in [-1, 1], NaN where the text has not been read on that axis; each text is known on
    one axis at least. axes: names of the K columns, axes of affect and names of strains; a strain is on the scale of outright
    expressions. nearest: among how many of the nearest texts chance decides. ValueError says what does not fit.
    """

    def __init__(self, texts: Sequence[str], expression: NDArray[np.floating], axes: Sequence[str], nearest: int = 5) -> None:
        self.texts, self.axes, self.nearest = tuple(texts), tuple(axes), nearest
        self.expression = np.asarray(expression, dtype=np.float32)
        if nearest < 1:
            raise ValueError(f"nearest must be at least 1, got {nearest}")
        if not self.texts:
            raise ValueError("a bank needs at least one text, got none")
        if len(set(self.axes)) < len(self.axes) or not self.axes:
            raise ValueError(f"a bank needs axes, each once, got {', '.join(self.axes) or 'none'}")
        if self.expression.shape != (len(self.texts), len(self.axes)):
            wanted = (len(self.texts), len(self.axes))
            raise ValueError(f"expression of a bank must be (texts, axes) = {wanted}, got {self.expression.shape}")
        # Texts may come from anywhere: they are named by number, never repeated in a complaint.
        for row, text in enumerate(self.texts):
            if not text.strip():
                raise ValueError(f"text {row} of the bank is empty")
        if len(wrong := np.flatnonzero((np.abs(self.expression) > 1).any(axis=1))):
            raise ValueError(f"expression of a bank must be in [-1, 1], got {self.expression[wrong[0]]} for text {wrong[0]}")
        if len(unread := np.flatnonzero(np.isnan(self.expression).all(axis=1))):
            raise ValueError(f"text {unread[0]} of the bank has been read on no axis")

    def __len__(self) -> int:
        return len(self.texts)

    def fitted(self, axes: Axes, personas: Sequence[Persona], background: Persona) -> Bank:
        """The bank for a run on `axes`, with its `personas` (one a strain) and `background`; its columns are those axes.

        Left out are texts that show a strain the run has not, and texts of which a strain of the run has not been read: they
        might carry it. Where nothing then shows a strain, the lines of its persona are added, at 1 on that strain and the
        persona's affect; where nothing is free of strains, those of the background. ValueError if those are missing, too.
        """
        strains = slice(len(AFFECT), len(AFFECT) + len(axes.strains))
        place = np.full((len(self), len(axes)), np.nan, dtype=np.float32)
        said = np.ones(len(self), dtype=bool)
        for column, name in enumerate(self.axes):
            if name in axes.names:
                place[:, axes.index(name)] = self.expression[:, column]
            elif name not in AFFECT:
                said &= ~(self.expression[:, column] >= SHOWN)
        said &= ~np.isnan(place[:, strains]).any(axis=1)
        texts, rows = [text for text, kept in zip(self.texts, said, strict=True) if kept], [place[said]]
        shown = rows[0][:, strains] >= SHOWN
        wanted = [(persona, k) for k, persona in enumerate(personas) if not shown[:, k].any()]
        if shown.any(axis=1).all():  # so it is, too, where nothing is left
            wanted.append((background, -1))
        for persona, k in wanted:
            if not persona.examples:
                raise ValueError(f"persona {persona.name} needs examples, for the bank has no text in its place")
            texts += persona.examples
            carried = [float(k == strain) for strain in range(len(axes.strains))]
            stood = np.array([*persona.affect, *carried, *(np.nan for _ in axes.stances)], dtype=np.float32)
            rows.append(np.tile(stood, (len(persona.examples), 1)))
        return Bank(texts, np.concatenate(rows), axes.names, self.nearest)

    def draw(self, expression: NDArray[np.floating], axes: Axes, u: NDArray[np.floating]) -> list[int]:
        """A text for each of n expressions (n, D) on `axes`, as rows of `texts`; u: (n,) one draw in [0, 1) for each.

        Of the texts that show the same strains (else those that differ in the fewest), one of the `nearest`, each as likely,
        and of those as far away as the last of them. Near is the mean squared difference over the axes on which text and run
        are known, a strain not shown as 0; that is Euclidean distance where no reading is missing, and the partial distance of
        Dixon 1979 where one is.
        """
        read = np.flatnonzero(np.any(~np.isnan(self.expression), axis=0))
        shared = [name for name in (self.axes[column] for column in read) if name in axes.names]
        place = self.expression[:, [self.axes.index(name) for name in shared]]
        known = np.count_nonzero(~np.isnan(place), axis=1)
        if not known.any():
            raise ValueError(f"the bank is read on {', '.join(self.axes)}, and the run has {', '.join(axes.names)}")
        said = np.asarray(expression, dtype=np.float32)[:, [axes.index(name) for name in shared]]
        if np.isnan(said).any():
            raise ValueError("no text can be drawn for an expression that is NaN")
        strains = [column for column, name in enumerate(shared) if name in axes.strains]
        # How far below showing a strain a text lies tells nothing: else the neutral posts would be ranked by it.
        place[:, strains] = np.where(place[:, strains] < SHOWN, np.float32(0), place[:, strains])
        rows = [_nearest(said[part], place, known, strains, self.nearest, u[part]) for part in _parts(len(said), len(self))]
        return np.concatenate(rows).tolist() if rows else []


def _parts(size: int, width: int) -> Iterator[slice]:
    step = max(1, CELLS // width)
    return (slice(start, start + step) for start in range(0, size, step))


def _nearest(
    said: NDArray[np.float32],
    place: NDArray[np.float32],
    known: NDArray[np.int64],
    strains: list[int],
    nearest: int,
    u: NDArray[np.floating],
) -> NDArray[np.int64]:
    """Rows of `place` (T, K) drawn for `said` (n, K). Each row is computed by itself, so it is the same in any company."""
    total = np.zeros((len(said), len(place)), dtype=np.float32)
    differ = np.zeros(total.shape, dtype=np.int8)
    for column in range(place.shape[1]):
        mine, there = said[:, column, None], place[:, column]
        total += np.where(np.isnan(there), np.float32(0), (mine - there) ** 2)
        if column in strains:
            differ += ((mine >= SHOWN) != (there >= SHOWN)) | np.isnan(there)
    with np.errstate(invalid="ignore"):
        total /= known.astype(np.float32)
    total[:, known == 0] = np.inf
    differ[:, known == 0] = np.iinfo(np.int8).max
    total[differ > differ.min(axis=1, keepdims=True)] = np.inf
    last = min(nearest, len(place)) - 1
    limit = np.partition(total, last, axis=1)[:, last, None]
    near = (total <= limit) & np.isfinite(total)
    count = np.count_nonzero(near, axis=1)
    chosen = np.minimum((u * count).astype(np.int64), count - 1)
    return np.argmax(np.cumsum(near, axis=1, dtype=np.int32) > chosen[:, None], axis=1)


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    read: tuple[float | None, ...]


class _File(BaseModel):
    """axes: names of the columns of each `read`, null where there is no reading. instruments: axis → what read it, for people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    axes: tuple[str, ...]
    instruments: dict[str, str]
    texts: tuple[_Text, ...]


def from_file(path: Path | None = None, nearest: int = 5) -> Bank:
    """The bank in a YAML file as `conf/posts.yaml`, the one that None stands for. ValueError says in one line what is wrong."""
    source = files("contagium.conf") / "posts.yaml" if path is None else path.expanduser()
    try:
        found = _File.model_validate(yaml.safe_load(source.read_text(encoding="utf-8")))
        for row, text in enumerate(found.texts):
            if len(text.read) != len(found.axes):
                raise ValueError(f"texts.{row}.read must have a value for each of {', '.join(found.axes)}, got {len(text.read)}")
        read = np.array([text.read for text in found.texts], dtype=np.float64).reshape(-1, len(found.axes))
        return Bank([text.text for text in found.texts], read, found.axes, nearest)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"bank {source}: {where or 'the file'}: {first['msg']}") from error
    except OSError as error:
        raise ValueError(f"cannot read the bank {source}: {error.strerror or error}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"bank {source}: {' '.join(str(error).split())}") from error
