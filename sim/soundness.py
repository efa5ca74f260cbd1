"""Whether a log that opens also hangs together, before anything is computed from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contagium.sim.reading import LogError, Run

FACTS: Mapping[str, type] = {
    **{"scenario": dict, "detection": dict, "axis_instruments": dict, "axes": list, "strains": list, "versions": dict},
    **{"name": str, "status": str, "command": str, "started": str, "seed": int, "steps": int},
}
"""What `meta` must say, and in which form."""

HUGE = 1e100
"""No weight or probability of ours comes near it."""

RULES = (
    ("transition", "agent < 0 OR agent >= :size", "an agent that is none"),
    ("transition", "onset < -1 OR onset > step", "an onset before the run or after its confirmation"),
    ("exposure", "agent < 0 OR agent >= :size OR source < 0 OR source >= :size", "an agent that is none"),
    ("exposure", f"weight < 0 OR weight > {HUGE}", "a weight that is negative or without bound"),
    ("message", "sender < 0 OR sender >= :size OR step < 0", "a sender or a step that is none"),
    ("cause", "source < 0 OR source >= :size", "an agent that is none"),
    ("cause", "probability < 0 OR probability > 1.000001", "a probability outside 0 to 1"),
    ("reading", "scores NOT LIKE '{%}'", "scores that are no JSON object"),
)
"""Table, what must not be in any of its rows, and how to say it. `:size` is the number of agents."""


def must_be_sound(run: Run) -> None:
    """LogError, in one line, for a log no run of ours can have written: one that was cut, put together or changed."""
    for key, kind in FACTS.items():
        if not isinstance(found := run.meta.get(key), kind):
            given = "is missing" if found is None else f"must be {kind.__name__}, got {type(found).__name__}"
            raise LogError(f"{run.path} is not as a run writes it: meta.{key} {given}")
    rules = [(table, wrong.replace(":size", str(_size(run))), words) for table, wrong, words in RULES]
    for name in dict.fromkeys(table for table, _, _ in rules):
        mine = [(wrong, words) for table, wrong, words in rules if table == name]
        # Each table is gone through once, for it may have millions of rows.
        every = " OR ".join(f"({wrong})" for wrong, _ in mine)
        if run.rows(f'SELECT 1 FROM "{name}" WHERE {every} LIMIT 1'):
            _say_which(run, name, mine)


def _say_which(run: Run, table: str, rules: list[tuple[str, str]]) -> None:
    for wrong, words in rules:
        if found := run.rows(f'SELECT rowid FROM "{table}" WHERE {wrong} LIMIT 1'):
            raise LogError(f"{run.path} is not as a run writes it: row {found[0][0]} of table {table} has {words}")


def _size(run: Run) -> int:
    """One more than the highest number an agent may have."""
    sample: dict[str, Any] | None = run.sample
    return int(sample["agents"]) if sample else len(run.agents)
