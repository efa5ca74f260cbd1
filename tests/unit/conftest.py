"""A maker of event logs: tests of the analysis write down what happened, and know what must be found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from contagium.sim.log import EventLog

NAMES = ("Ada", "Ben", "Cai", "Dov", "Eve", "Fay", "Gil", "Hal", "Ida", "Jan", "Kim", "Lou")
EXAMPLE = "the spiral turns in me and I remember"


class Made:
    """A log under way. Agents 0, 1, … stand on a ring; the strain is "spiral", read by "embedding" with threshold 0.5."""

    def __init__(
        self, directory: Path, agents: int = 12, index: Sequence[int] = (0,), steps: int = 12, edges: bool = True
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.directory, self.agents, self.log = directory, agents, EventLog(directory / "run.db")
        self.state = {agent: "I" if agent in index else "S" for agent in range(agents)}
        self._messages = self._transitions = 0
        self.log.meta(facts(index, steps))
        named = [NAMES[i] if i < len(NAMES) else f"agent {i}" for i in range(agents)]
        self.log.add("agent", [(i, n, "talk", "spiral" if i in index else None, 1.0, 1.0, 1) for i, n in enumerate(named)])
        if edges:
            self.log.add("edge", [(i, (i + 1) % agents, 1.0) for i in range(agents)])
        for agent in index:
            self._move(-1, agent, "S", "I", -1)
        self._count(-1)
        self.log.commit()

    def step(
        self,
        step: int,
        said: Mapping[int, tuple[str | None, float | None]] | None = None,
        heard: Iterable[tuple[int, int]] = (),
        moved: Mapping[int, tuple[str, Sequence[tuple[int, float]]]] | None = None,
        onset: Mapping[int, int] | None = None,
        missing: Mapping[int, str] | None = None,
        **tables: list[tuple[Any, ...]],
    ) -> dict[int, int]:
        """One step. said: agent → text and score (None: the reading failed). heard: (agent, sender) of this step's messages.

        moved: agent → compartment and (source, probability) of candidate causes. onset: of who moved, where it was not now.
        Message ids by sender.
        """
        said, sent = said or {}, {}
        for agent, (text, score) in said.items():
            sent[agent] = message = self._messages
            self._messages += 1
            self.log.add("message", [(message, step, agent, "board", message, None, 0, text)])
            self.log.add("reading", [self.reading(step, message, agent, "embedding", "spiral", score)])
        self.log.add("exposure", [(step, sent[sender], agent, sender, 1.0) for agent, sender in heard])
        for agent, (target, sources) in (moved or {}).items():
            first = (onset or {}).get(agent, step)
            transition = self._move(step, agent, self.state[agent], target, first)
            self.log.add("cause", [(transition, 0, source, first - 1, 1.0, p) for source, p in sources])
        self.log.add("turn", [(step, agent, "missing", reason) for agent, reason in (missing or {}).items()])
        for table, rows in tables.items():
            self.log.add(table, rows)
        failed = sum(score is None for _, score in said.values())
        self._count(step)
        self.log.add("step", [(step, len(said), len(list(heard)), len(missing or {}), failed, 0.1)])
        self.log.commit()
        return sent

    @staticmethod
    def reading(step: int, message: int, agent: int, instrument: str, column: str, value: float | None) -> tuple[Any, ...]:
        """A row of the table: one column of a message, that failed where the value is None."""
        status = "failed" if value is None else "ok"
        return step, "message", message, agent, instrument, status, None, json.dumps({column: value})

    def end(self, status: str = "finished", reason: str | None = None) -> Path:
        self.log.meta({"status": status, "reason": reason, "wall_seconds": 1.5})
        self.log.close()
        return self.directory

    def _move(self, step: int, agent: int, origin: str, target: str, onset: int) -> int:
        self._transitions += 1
        self.state[agent] = target
        self.log.add("transition", [(self._transitions, step, onset, agent, "spiral", "case", origin, target)])
        return self._transitions

    def _count(self, step: int) -> None:
        counts = {c: sum(state == c for state in self.state.values()) for c in "SIR"}
        self.log.add("compartment", [(step, "spiral", "case", c, n) for c, n in counts.items()])


def facts(index: Sequence[int], steps: int) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "scenario": {"persona": {"name": "spiral", "examples": [EXAMPLE]}},
        "name": "made",
        "seed": 7,
        "steps": steps,
        "axes": ["valence", "arousal", "dominance", "spiral"],
        "strains": ["spiral"],
        "axis_instruments": {"valence": ["lexicon"], "spiral": ["embedding"]},
        "detection": {"spiral": {"instrument": "embedding", "enter": 0.5, "stay": 0.4, "false_positive_rate": 0.01}},
        "index_agents": list(index),
        "versions": {"contagium": "0.1.0"},
        "command": "contagium seed=7",
        "started": "2026-11-21T10:00:00+0000",
        "status": "running",
        "reason": None,
        "wall_seconds": None,
    }


@pytest.fixture(scope="session")
def made_log() -> type[Made]:
    """The maker itself, for fixtures that live longer than a test."""
    return Made


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Made]:
    """Begin a log: `make(agents=3, index=(0,))`."""
    return lambda **options: Made(tmp_path / "run", **options)
