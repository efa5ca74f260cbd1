"""What a speaking agent has in mind, bounded in tokens: a window of what is newest, with or without a summary of the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol, runtime_checkable

from pydantic import Field

Kind = Literal["note", "summary", "read", "own", "news"]
FRAME = 8
"""Tokens an entry costs beside its text: role markers and who said it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing remembered.

    kind: "read" (a post of `author`), "own" (a post of the agent), "news" (something that happened), "summary" (the agent's own,
    of what came before all these), "note" (something the agent was told to keep in mind).
    """

    kind: Kind
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class Pending:
    """What an agent should be asked to sum up: its old summary, if any, and what fell out since. tokens: most of the new one."""

    entries: tuple[Entry, ...]
    tokens: int


@runtime_checkable
class Memory(Protocol):
    """What the agents of one policy remember; it asks no model itself.

    `turn` begins a turn of an agent, `add` lets it remember something, `of` is what it remembers: notes, summary, the rest oldest
    first. Where `pending` is not None, whoever owns the memory may have it summed up and hand the result to `fold`.

    `inoculate` pins a note, `forget_note` takes it away again, `wipe` forgets all but the notes, `condense` all but the notes and
    a summary, `clear` forgets everything of everybody.
    """

    def turn(self, agent: int) -> None: ...

    def add(self, agent: int, entry: Entry) -> None: ...

    def of(self, agent: int) -> tuple[Entry, ...]: ...

    def pending(self, agent: int) -> Pending | None: ...

    def fold(self, agent: int, text: str) -> None: ...

    def inoculate(self, agent: int, text: str) -> None: ...

    def forget_note(self, agent: int, text: str) -> None: ...

    def wipe(self, agent: int) -> None: ...

    def condense(self, agent: int, summary: str) -> None: ...

    def clear(self) -> None: ...


def tokens(text: str) -> int:
    """About how many tokens a text has, rather too many than too few: a third of its bytes in UTF-8.

    English takes about four bytes a token in today's vocabularies, most other scripts three or more.
    """
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return (size + 2) // 3


def cost(entries: Iterable[Entry]) -> int:
    """About how many tokens entries take in a prompt."""
    return sum(FRAME + tokens(entry.text) for entry in entries)


def newer_half(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """What to try next where all of `entries`, at least one, is too much: the older half left out, and notes only at last."""
    notes = tuple(entry for entry in entries if entry.kind == "note")
    rest = entries[len(notes) :]
    return (*notes, *rest[(len(rest) + 1) // 2 :]) if rest else ()


@dataclass
class Mind:
    """What one agent remembers. fallen: what waits to be summed up, in the order it fell out."""

    notes: tuple[Entry, ...] = ()
    summary: tuple[Entry, ...] = ()
    entries: list[Entry] = field(default_factory=list)
    fallen: list[Entry] = field(default_factory=list)


class Window:
    """Keeps the newest entries.

    read, own, news: how many of each kind are kept, at least 0. Bounding each kind apart keeps an agent that hears much from
    forgetting itself, and one that hears little from remembering only itself. characters: each entry is cut to this length.
    tokens: bound on all that an agent remembers, as `cost` counts it; the oldest go first, and notes stay.
    """

    def __init__(
        self,
        read: Annotated[int, Field(ge=0)] = 4,
        own: Annotated[int, Field(ge=0)] = 2,
        news: Annotated[int, Field(ge=0)] = 1,
        characters: Annotated[int, Field(ge=1)] = 400,
        tokens: Annotated[int, Field(ge=1)] = 1024,
    ) -> None:
        if tokens <= FRAME:
            raise ValueError(f"tokens must be above {FRAME}, which each entry takes beside its text, got {tokens}")
        self._most: dict[Kind, int] = {"read": read, "own": own, "news": news}
        self._characters, self._tokens = characters, tokens
        self._reserved = 0
        self._minds: dict[int, Mind] = defaultdict(Mind)

    def turn(self, agent: int) -> None:
        """What falls out of a window falls out by number and size, not by turns."""

    def add(self, agent: int, entry: Entry) -> None:
        """Remember `entry`; the oldest of its kind is forgotten when there are too many."""
        mind = self._minds[agent]
        if len(entry.text) > self._characters:
            entry = Entry(entry.kind, entry.author, entry.text[: self._characters])
        mind.entries.append(entry)
        same = [k for k, one in enumerate(mind.entries) if one.kind == entry.kind]
        if len(same) > self._most[entry.kind]:
            self.forget(mind, same[0])
        self._fit(mind)

    def of(self, agent: int) -> tuple[Entry, ...]:
        """What `agent` remembers: notes, summary, then oldest first."""
        mind = self._minds[agent]
        return (*mind.notes, *mind.summary, *mind.entries)

    def pending(self, agent: int) -> Pending | None:
        """Nothing: what falls out of a window is gone."""
        return None

    def fold(self, agent: int, text: str) -> None:
        """ValueError: a window keeps no summary."""
        raise ValueError(f"this memory keeps no summary, got one of agent {agent}")

    def inoculate(self, agent: int, text: str) -> None:
        """Pin a note; the same one only once. ValueError: the notes leave no room for anything else."""
        mind = self._minds[agent]
        notes = tuple(dict.fromkeys((*mind.notes, Entry("note", "", text))))
        room = self._tokens - self._reserved
        if cost(notes) >= room:
            raise ValueError(f"the notes of an agent must take less than {room} tokens of its memory, got {cost(notes)}")
        mind.notes = notes
        self._fit(mind)

    def forget_note(self, agent: int, text: str) -> None:
        """Take a note away; nothing happens where there is none like it."""
        mind = self._minds[agent]
        mind.notes = tuple(note for note in mind.notes if note.text != text)

    def wipe(self, agent: int) -> None:
        """Forget all but the notes."""
        self._minds[agent] = Mind(self._minds[agent].notes)

    def condense(self, agent: int, summary: str) -> None:
        """Forget all but the notes and `summary`, cut as an entry is."""
        self._minds[agent] = Mind(self._minds[agent].notes, (Entry("summary", "", summary[: self._characters]),))

    def clear(self) -> None:
        """Everybody forgets everything, the notes too."""
        self._minds.clear()

    def forget(self, mind: Mind, place: int) -> None:
        """The entry at `place` falls out and is gone."""
        del mind.entries[place]

    def _fit(self, mind: Mind) -> None:
        over = cost(mind.notes) + cost(mind.summary) + cost(mind.entries) - self._tokens
        while over > 0 and mind.entries:
            over -= cost(mind.entries[:1])
            self.forget(mind, 0)


class Summary(Window):
    """A window; what falls out of it, the agent sums up in its own words, and the summary stands before the window.

    every: tokens that must have fallen out before the agent is asked for a new summary, made of the old one and of these. length:
    most tokens of the summary, which counts towards `tokens`. What is asked for and not given stays to be asked for again, until
    it exceeds `tokens` itself; then the oldest of it is lost. What is not kept at all (own=0) is summed up too.
    """

    def __init__(
        self,
        read: Annotated[int, Field(ge=0)] = 4,
        own: Annotated[int, Field(ge=0)] = 2,
        news: Annotated[int, Field(ge=0)] = 1,
        characters: Annotated[int, Field(ge=1)] = 400,
        tokens: Annotated[int, Field(ge=1)] = 1024,
        every: Annotated[int, Field(ge=1)] = 256,
        length: Annotated[int, Field(ge=1)] = 96,
    ) -> None:
        super().__init__(read, own, news, characters, tokens)
        self._every, self._length = every, length
        self._reserved = FRAME + length
        if tokens <= max(every, self._reserved):
            raise ValueError(f"tokens must be above every ({every}) and above length + {FRAME} ({self._reserved}), got {tokens}")

    def pending(self, agent: int) -> Pending | None:
        mind = self._minds[agent]
        if cost(mind.fallen) < self._every:
            return None
        return Pending((*mind.summary, *mind.fallen), self._length)

    def fold(self, agent: int, text: str) -> None:
        """Put `text`, cut to `length`, in the place of what was pending."""
        mind = self._minds[agent]
        mind.summary, mind.fallen = (Entry("summary", "", _cut(text, self._length)),), []
        self._fit(mind)

    def forget(self, mind: Mind, place: int) -> None:
        """The entry at `place` falls out and waits to be summed up."""
        mind.fallen.append(mind.entries.pop(place))
        while cost(mind.fallen) > self._tokens:
            del mind.fallen[0]


class NoMemory(Window):
    """Each turn begins with nothing but the notes: an agent knows what it reads in this step.

    characters, tokens: as of `Window`.
    """

    def __init__(self, characters: Annotated[int, Field(ge=1)] = 400, tokens: Annotated[int, Field(ge=1)] = 1024) -> None:
        super().__init__(read=tokens, own=0, news=tokens, characters=characters, tokens=tokens)

    def turn(self, agent: int) -> None:
        """Forget the last turn."""
        self.wipe(agent)


def _cut(text: str, most: int) -> str:
    return text.encode("utf-8", "replace")[: 3 * most].decode("utf-8", "ignore")
