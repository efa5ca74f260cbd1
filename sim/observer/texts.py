"""Reading the texts of a step: what every instrument that reads words has in common."""

from __future__ import annotations

import asyncio
import hashlib
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from contagium.sim.observer.instrument import INTERVIEW, MESSAGE, THOUGHT, Channel, Material, Readings

Score = Callable[[Sequence[str]], NDArray[np.float32]]

CHARACTERS = 8192
"""No instrument reads further into a text than this: a runaway reply may cost no more than a long one."""

ILLEGIBLE, UNREADABLE = "nothing to be seen in it", "cannot be read"
"""Why a text has no reading: it is empty to the eye, or the instrument knows nothing in it."""

_UNSEEN = {"Cc", "Cf", "Cs"}  # control and format characters, lone surrogates: nothing a reader would see


def legible(text: str) -> str:
    """The part of a text that is read: white space trimmed, the first `CHARACTERS`, and of them those that can be seen."""
    start = text.strip()[:CHARACTERS]
    if start.replace("\n", " ").isprintable():
        return start
    return "".join(c for c in start if c.isspace() or unicodedata.category(c) not in _UNSEEN).strip()


def spoken(material: Material) -> list[tuple[Channel, NDArray[np.int64], list[str]]]:
    """Every channel that has words: messages, thoughts, and interview items answered in free words.

    Each with ids (n,), ascending, and n texts. An answer that failed or is missing has no words, nor has one off a list.
    """
    said = material.messages.text
    ids = [int(i) for i in material.messages.id if int(i) in said] if said else []
    found: list[tuple[Channel, list[int], list[str]]] = [(MESSAGE, ids, [said[i] for i in ids])]
    found.append((THOUGHT, sorted(material.thoughts), [material.thoughts[agent] for agent in sorted(material.thoughts)]))
    for item in sorted(material.open_items & material.answers.keys()):
        answers = sorted(material.answers[item].items())
        given = {agent: answer.text for agent, answer in answers if answer.text is not None}
        found.append((f"{INTERVIEW}:{item}", list(given), list(given.values())))
    return [(channel, np.array(ids, dtype=np.int64), texts) for channel, ids, texts in found if ids]


def read_texts(instrument: str, columns: tuple[str, ...], material: Material, score: Score) -> list[Readings]:
    """A row for each text of each channel; no readings at all where there are no columns.

    score: from n legible texts to (n, K) values on `columns`; a row with NaN in it is a text it could not read. A text with
    nothing to be seen in it fails here, and `score` is not asked.
    """
    if not columns:
        return []
    return [_read(instrument, columns, score, *said) for said in spoken(material)]


async def read_texts_aside(instrument: str, columns: tuple[str, ...], material: Material, score: Score) -> list[Readings]:
    """The same as `read_texts`, with `score` in a thread of its own: for what would hold up the loop."""
    if not columns:
        return []
    said = spoken(material)
    return await asyncio.to_thread(lambda: [_read(instrument, columns, score, *one) for one in said]) if said else []


def fingerprint(*parts: str | bytes) -> str:
    """A short name for what an instrument is made of: the first 16 hex digits of the SHA-256 of its parts."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:16]


def _read(
    instrument: str, columns: tuple[str, ...], score: Score, channel: Channel, ids: NDArray[np.int64], said: list[str]
) -> Readings:
    texts = [legible(text) for text in said]
    values = np.full((len(ids), len(columns)), np.nan, dtype=np.float32)
    seen = [row for row, text in enumerate(texts) if text]
    if seen:
        values[seen] = score([texts[row] for row in seen])
    ok = np.all(np.isfinite(values), axis=1)
    reasons = {row: UNREADABLE if texts[row] else ILLEGIBLE for row in np.flatnonzero(~ok).tolist()}
    return Readings(instrument, channel, ids, columns, values, ok, reasons)
