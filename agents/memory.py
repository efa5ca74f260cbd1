"""What a speaking agent still has in mind: a bounded list of entries, oldest first."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing remembered. kind: "read" (a post of `author`), "own" (a post of the agent), "news" (something that happened)."""

    kind: Literal["read", "own", "news"]
    author: str
    text: str


class Window:
    """Keeps the newest entries.

    read, own, news: how many of each kind are kept, at least 0. Bounding each kind apart keeps an agent that hears much from
    forgetting itself, and one that hears little from remembering only itself. characters: each entry is cut to this length.
    """

    def __init__(
        self,
        read: Annotated[int, Field(ge=0)] = 4,
        own: Annotated[int, Field(ge=0)] = 2,
        news: Annotated[int, Field(ge=0)] = 1,
        characters: Annotated[int, Field(ge=1)] = 400,
    ) -> None:
        self._most = {"read": read, "own": own, "news": news}
        self._characters = characters
        self._entries: dict[int, deque[Entry]] = {}

    def add(self, agent: int, entry: Entry) -> None:
        """Remember `entry`; the oldest of its kind is forgotten when there are too many."""
        entries = self._entries.setdefault(agent, deque())
        entries.append(Entry(entry.kind, entry.author, entry.text[: self._characters]))
        same = [e for e in entries if e.kind == entry.kind]
        if len(same) > self._most[entry.kind]:
            entries.remove(same[0])

    def of(self, agent: int) -> tuple[Entry, ...]:
        """What `agent` remembers, oldest first."""
        return tuple(self._entries.get(agent, ()))

    def clear(self) -> None:
        """Everybody forgets everything."""
        self._entries.clear()
