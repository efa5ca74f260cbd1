"""A memory that keeps nearly all and brings back what is most like what was just read."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Protocol, runtime_checkable

from pydantic import Field

from contagium.agents.memory import Entry, Mind, Window, cost
from contagium.envs.rng import Streams

WORD = re.compile(r"\w+")
SOMEBODY = "Somebody"
"""Who is said to have written what stands in a memory from the start."""


@runtime_checkable
class Likeness(Protocol):
    """How like one text is to others."""

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """For each of `texts` (n,) how like it is to `query`, more for more; not above 0: they have nothing in common."""


@lru_cache(maxsize=2**14)
def _words(text: str) -> Mapping[str, int]:
    return Counter(WORD.findall(text.casefold()))


class SharedWords:
    """The words that texts share, the rarer the more, as BM25 weighs them; deterministic, and without any model.

    saturation: how soon a word said again adds no more (k1). length: how far long texts are held to say more words by their
    length alone (b), from 0 to 1. A word is a run of letters and digits, so that scripts without spaces need another likeness.
    Source: Robertson & Zaragoza 2009.
    """

    def __init__(
        self,
        saturation: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.2,
        length: Annotated[float, Field(ge=0, le=1)] = 0.75,
    ) -> None:
        self._saturation, self._length = saturation, length

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        known = [_words(text) for text in texts]
        sizes = [sum(words.values()) for words in known]
        mean = sum(sizes) / len(sizes) if any(sizes) else 1.0
        weight = {}
        for word in _words(query):
            having = sum(word in words for words in known)
            if having:
                weight[word] = math.log(1 + (len(known) - having + 0.5) / (having + 0.5))
        k1, b = self._saturation, self._length
        return [
            sum(
                rare * times * (k1 + 1) / (times + k1 * (1 - b + b * size / mean))
                for word, rare in weight.items()
                if (times := words.get(word, 0))
            )
            for words, size in zip(known, sizes, strict=True)
        ]


class Retrieval(Window):
    """Keeps up to `entries` entries of each agent, and has before it the newest of them and those most like what it just read.

    recalled: how many are brought back for their likeness to what was read in this turn, none twice in the same words. newest:
    how many of the newest stand beside them. characters: each entry is cut to this length. tokens: bound on all that is before an
    agent, as `cost` counts it; the newest come first, then the most alike. likeness: by default `SharedWords`.

    seeds: texts that stand in the memory of carriers from the start, as if read long ago. carriers: who they are, by id, or the
    chance that an agent is one, drawn with the random seed `seed`. A wipe takes them too.
    """

    def __init__(
        self,
        recalled: Annotated[int, Field(ge=0)] = 3,
        newest: Annotated[int, Field(ge=0)] = 4,
        entries: Annotated[int, Field(ge=1)] = 512,
        characters: Annotated[int, Field(ge=1)] = 400,
        tokens: Annotated[int, Field(ge=1)] = 1024,
        likeness: Likeness | None = None,
        seeds: tuple[str, ...] = (),
        carriers: Annotated[float, Field(ge=0, le=1)] | tuple[int, ...] = 1.0,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        super().__init__(entries, entries, entries, characters, tokens)
        if newest + len(seeds) > entries:
            raise ValueError(f"entries must be at least newest + the number of seeds ({newest + len(seeds)}), got {entries}")
        if not all(text.strip() for text in seeds):
            raise ValueError("a seed of a memory needs a text, got an empty one")
        self._recalled, self._newest, self._entries = recalled, newest, entries
        self._likeness: Likeness = likeness or SharedWords()
        self._seeds = [Entry("read", SOMEBODY, text[:characters]) for text in seeds]
        self._carriers, self._streams = carriers, Streams(seed)
        self._minds = _Minds(self._begun)
        self._fresh: Counter[int] = Counter()

    def carries(self, agent: int) -> bool:
        """Whether the seeds stand in the memory of `agent` from the start."""
        if isinstance(self._carriers, tuple):
            return agent in self._carriers
        return bool(self._streams.generator("memory seeds", agent).random() < self._carriers)

    def turn(self, agent: int) -> None:
        self._fresh[agent] = 0

    def add(self, agent: int, entry: Entry) -> None:
        super().add(agent, entry)
        self._fresh[agent] += 1

    def of(self, agent: int) -> tuple[Entry, ...]:
        """What `agent` has before it: notes, summary, then what it recalls and what is newest, oldest first."""
        mind, fresh = self._minds[agent], self._fresh[agent]
        first = max(0, len(mind.entries) - self._newest)
        read = [entry.text for entry in mind.entries[len(mind.entries) - fresh :] if entry.kind != "own"] if fresh else []
        past = max(0, min(first, len(mind.entries) - fresh))
        wanted = [*range(len(mind.entries) - 1, first - 1, -1), *self._alike(mind.entries[:past], mind.entries[first:], read)]
        room = self._tokens - cost(mind.notes) - cost(mind.summary)
        kept = []
        for place in wanted:
            room -= cost((mind.entries[place],))
            if room < 0:
                break
            kept.append(place)
        return (*mind.notes, *mind.summary, *(mind.entries[place] for place in sorted(kept)))

    def _alike(self, past: Sequence[Entry], newest: Sequence[Entry], read: Sequence[str]) -> list[int]:
        """Places in `past` of what is most like what was read, the most alike first and of equals the newer."""
        if not (past and read and self._recalled):
            return []
        scores = self._likeness.scores("\n".join(read), [entry.text for entry in past])
        seen, found = {entry.text for entry in newest}, []
        for _, place in sorted(((score, place) for place, score in enumerate(scores) if score > 0), reverse=True):
            if past[place].text not in seen:
                seen.add(past[place].text)
                found.append(place)
            if len(found) == self._recalled:
                break
        return found

    def clear(self) -> None:
        super().clear()
        self._fresh.clear()

    def _fit(self, mind: Mind) -> None:
        """Forget the oldest of what is too many."""
        del mind.entries[: max(0, len(mind.entries) - self._entries)]

    def _begun(self, agent: int) -> Mind:
        return Mind(entries=list(self._seeds) if self._seeds and self.carries(agent) else [])


class _Minds(dict[int, Mind]):
    """Minds by agent, each begun when it is first asked for."""

    def __init__(self, begin: Callable[[int], Mind]) -> None:
        super().__init__()
        self._begin = begin

    def __missing__(self, agent: int) -> Mind:
        self[agent] = mind = self._begin(agent)
        return mind
