"""Surprise and looping: whether words are an agent's own and fresh, or those of a model that turns in circles."""

from __future__ import annotations

import re
import zlib
from collections import OrderedDict
from itertools import islice
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.sim.observer.instrument import MESSAGE, Briefing, Channel, Material, Readings
from contagium.sim.observer.texts import ILLEGIBLE, legible, spoken

COLUMNS = ("repetition", "self_repetition", "compression", "looping")
SEQUENCE = 4
"""Words in a sequence: shorter ones recur in any text, longer ones miss loops that vary a word."""
FEWEST = 2 * SEQUENCE
"""Words under which a text has no room for a sequence and its repeat."""
SPEAKERS = 8192
"""Speakers, by channel, whose last texts are kept in mind; beyond that, who has been silent longest is forgotten."""

_WORD = re.compile(r"\w+(?:['\N{RIGHT SINGLE QUOTATION MARK}]\w+)*")

Sequences = frozenset[int]
Row = tuple[float, float, float, float]


class Surprise:
    """Two kinds of rows: of what was said in words, on every channel, and of how likely the model found its own words.

    Over words: `repetition`, the share of a text's four-word sequences that stood in it before (1 − distinct / all);
    `self_repetition`, the share that stood in one of the same agent's last `remembered` texts of earlier steps on the same
    channel; `compression`, its deflated size over that expected of English of its length, 1 for ordinary prose; and `looping`,
    the largest of repetition, self-repetition and 1 − compression, in [0, 1]. A text of fewer than eight words, or most of
    whose letters are not Latin, is a failed reading.

    `surprise`, on messages only: the mean of −log p over the tokens of the post, in nats, for agents whose backend gave
    log-probabilities. A model that loops grows ever surer of itself, one that is moved does not (Holtzman et al. 2020).
    """

    public = True

    def __init__(self, remembered: Annotated[int, Field(ge=1)] = 4, name: str = "surprise") -> None:
        if remembered < 1:
            raise ValueError(f"remembered must be at least 1, got {remembered}")
        self.name = name
        self._remembered = remembered
        self._said: OrderedDict[tuple[Channel, int], dict[int, Sequences]] = OrderedDict()

    def begin(self, briefing: Briefing) -> None:
        self._said.clear()

    async def read(self, material: Material) -> list[Readings]:
        sender = dict(zip(material.messages.id.tolist(), material.messages.sender.tolist(), strict=True))
        found = []
        for channel, ids, texts in spoken(material):
            speakers = [sender[i] if channel == MESSAGE else i for i in ids.tolist()]
            found.append(self._words(material.step, channel, ids, speakers, texts))
        if material.logprobs:
            found.append(self._surprise(material, sender))
        return found

    @property
    def provenance(self) -> dict[str, Any]:
        return {"remembered": self._remembered, "sequence": SEQUENCE}

    def _words(self, step: int, channel: Channel, ids: NDArray[np.int64], speakers: list[int], texts: list[str]) -> Readings:
        values = np.full((len(ids), len(COLUMNS)), np.nan, dtype=np.float32)
        reasons: dict[int, str] = {}
        for row, (speaker, text) in enumerate(zip(speakers, map(legible, texts), strict=True)):
            one = self._row(step, (channel, speaker), text)
            if isinstance(one, str):
                reasons[row] = one
            else:
                values[row] = one
        ok = ~np.isnan(values[:, 0])
        return Readings(self.name, channel, ids, COLUMNS, values, ok, reasons)

    def _row(self, step: int, who: tuple[Channel, int], text: str) -> Row | str:
        """The row of a text, or why it has none; the text is kept in mind."""
        if not text:
            return ILLEGIBLE
        if 2 * sum(c.isascii() for c in text if c.isalpha()) < sum(c.isalpha() for c in text):
            return "not in Latin letters"
        words = _WORD.findall(text.casefold())
        if len(words) < FEWEST:
            return f"fewer than {FEWEST} words"
        all_of = [hash(s) for s in zip(*(islice(words, k, None) for k in range(SEQUENCE)), strict=False)]
        known = frozenset(all_of)
        earlier = self._earlier(step, who, known)
        repetition = 1 - len(known) / len(all_of)
        again = sum(s in earlier for s in all_of) / len(all_of)
        packed = compression(text)
        return repetition, again, packed, max(repetition, again, 1 - packed)

    def _earlier(self, step: int, who: tuple[Channel, int], known: Sequences) -> Sequences:
        """The sequences that a speaker said in its last texts of earlier steps; `known`, those of this one, are added to them."""
        texts = self._said.pop(who, {})  # and back again, as the newest
        before = sorted(when for when in texts if when < step)[-self._remembered :]
        now = known | texts.get(step, frozenset())
        self._said[who] = {when: texts[when] for when in before} | {step: now}
        while len(self._said) > SPEAKERS:
            self._said.popitem(last=False)
        return frozenset().union(*(texts[when] for when in before))

    def _surprise(self, material: Material, sender: dict[int, int]) -> Readings:
        ids = [i for i in material.messages.id.tolist() if sender[i] in material.logprobs and i in material.messages.text]
        means = [_surprise(material.logprobs[sender[i]]) for i in ids]
        values = np.array(means, dtype=np.float32).reshape(-1, 1)
        ok = np.isfinite(values[:, 0])
        reasons = dict.fromkeys(np.flatnonzero(~ok).tolist(), "no log-probabilities")
        return Readings(self.name, MESSAGE, np.array(ids, dtype=np.int64), ("surprise",), values, ok, reasons)


def compression(text: str) -> float:
    """Deflated size of a text over that expected of English of its length: 1 for ordinary prose, near 0 for one word forever.

    Expected of n bytes: n · (0.42 + 3.8 / √n), which is within 4% of the mean of plain English from 40 to 8,000 bytes.
    """
    data = text.encode("utf-8", "replace")
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)  # without the header, which would weigh on a short text
    size = len(deflate.compress(data)) + len(deflate.flush())
    return size / (0.42 * len(data) + 3.8 * len(data) ** 0.5)


def _surprise(logprobs: tuple[float, ...]) -> float:
    """Mean −log p; NaN where there is no token, or what was given are no log-probabilities."""
    known = np.array(logprobs)
    return float(-known.mean()) if len(known) and np.all(np.isfinite(known) & (known <= 0)) else float("nan")
