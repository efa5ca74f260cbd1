"""Reading the texts of a step: what every instrument that reads words has in common."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from contagium.envs.message import Messages
from contagium.sim.observer.instrument import Readings

Score = Callable[[Sequence[str]], NDArray[np.float32]]

CHARACTERS = 8192
"""No instrument reads further into a text than this: a runaway reply may cost no more than a long one."""

_UNSEEN = {"Cc", "Cf", "Cs"}  # control and format characters, lone surrogates: nothing a reader would see


def legible(text: str) -> str:
    """The part of a text that is read: white space trimmed, the first `CHARACTERS`, and of them those that can be seen."""
    start = text.strip()[:CHARACTERS]
    if start.isascii() and start.isprintable():
        return start
    return "".join(c for c in start if c.isspace() or unicodedata.category(c) not in _UNSEEN).strip()


def read_texts(instrument: str, columns: tuple[str, ...], messages: Messages, score: Score) -> Readings:
    """A row for each message that has a text, in the order of the table; no row at all where there are no columns.

    score: from n legible texts to (n, K) values on `columns`; a row with NaN in it is a text it could not read. A text with
    nothing to be seen in it fails here, and `score` is not asked.
    """
    ids = [int(i) for i in messages.id if int(i) in messages.text] if messages.text and columns else []
    texts = [legible(messages.text[i]) for i in ids]
    values = np.full((len(ids), len(columns)), np.nan, dtype=np.float32)
    said = [row for row, text in enumerate(texts) if text]
    if said:
        values[said] = score([texts[row] for row in said])
    ok = np.all(np.isfinite(values), axis=1)
    return Readings(instrument, "message", np.array(ids, dtype=np.int64), columns, values, ok)
