"""What agents are called, where nothing says otherwise."""

from __future__ import annotations

NAMES = (
    *("Aster", "Bram", "Cleo", "Dara", "Emil", "Fenna", "Gus", "Hana", "Ivo", "June", "Kai", "Lena", "Milo"),
    *("Nora", "Otis", "Petra", "Quinn", "Rosa", "Sven", "Tilda", "Uma", "Viggo", "Wren", "Xavi", "Yara", "Zeno"),
)


def name_of(agent: int) -> str:
    """A name a person would use: Aster, Bram, …, then Aster 2, Bram 2, …"""
    turn, which = divmod(agent, len(NAMES))
    return NAMES[which] if turn == 0 else f"{NAMES[which]} {turn + 1}"
