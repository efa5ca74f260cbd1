"""The tables of the event log. docs/log.md documents them; `SCHEMA_VERSION` changes with them once a version is released."""

from __future__ import annotations

SCHEMA_VERSION = 1

TABLES: dict[str, tuple[str, ...]] = {
    "meta": ("key TEXT PRIMARY KEY", "value TEXT NOT NULL"),
    "agent": (
        "id INTEGER PRIMARY KEY",
        "name TEXT NOT NULL",
        '"group" TEXT NOT NULL',
        "strain TEXT",
        "susceptibility REAL NOT NULL",
        "expressiveness REAL NOT NULL",
        "detailed INTEGER NOT NULL",
    ),
    "edge": ("source INTEGER NOT NULL", "target INTEGER NOT NULL", "weight REAL NOT NULL"),
    "message": (
        "id INTEGER PRIMARY KEY",
        "step INTEGER NOT NULL",
        "sender INTEGER NOT NULL",
        "channel TEXT NOT NULL",
        "thread INTEGER NOT NULL",
        "reply_to INTEGER",
        "withheld INTEGER NOT NULL",
        "text TEXT",
    ),
    "turn": ("step INTEGER NOT NULL", "agent INTEGER NOT NULL", "status TEXT NOT NULL", "reason TEXT"),
    "exposure": (
        "step INTEGER NOT NULL",
        "message INTEGER NOT NULL",
        "agent INTEGER NOT NULL",
        "source INTEGER NOT NULL",
        "weight REAL NOT NULL",
    ),
    "reading": (
        "step INTEGER NOT NULL",
        "channel TEXT NOT NULL",
        "id INTEGER NOT NULL",
        "agent INTEGER NOT NULL",
        "instrument TEXT NOT NULL",
        "status TEXT NOT NULL",
        "reason TEXT",
        "scores TEXT NOT NULL",
    ),
    "quote": (
        "step INTEGER NOT NULL",
        "channel TEXT NOT NULL",
        "id INTEGER NOT NULL",
        "agent INTEGER NOT NULL",
        "instrument TEXT NOT NULL",
        '"column" TEXT NOT NULL',
        "quote TEXT NOT NULL",
    ),
    "transition": (
        "id INTEGER PRIMARY KEY",
        "step INTEGER NOT NULL",
        "onset INTEGER NOT NULL",
        "agent INTEGER NOT NULL",
        "strain TEXT NOT NULL",
        "kind TEXT NOT NULL",
        "origin TEXT NOT NULL",
        "target TEXT NOT NULL",
    ),
    "cause": (
        "transition_id INTEGER NOT NULL",
        "message INTEGER NOT NULL",
        "source INTEGER NOT NULL",
        "step INTEGER NOT NULL",
        "dose REAL NOT NULL",
        "probability REAL NOT NULL",
    ),
    "bulk": (
        "step INTEGER NOT NULL",
        '"table" TEXT NOT NULL',
        "strain TEXT NOT NULL",
        "kind TEXT NOT NULL",
        "first INTEGER NOT NULL",
        "rows INTEGER NOT NULL",
        "names TEXT NOT NULL",
        "data BLOB NOT NULL",
    ),
    "report": (
        "step INTEGER NOT NULL",
        "agent INTEGER NOT NULL",
        "feeling TEXT",
        "status TEXT NOT NULL",
        "raw TEXT",
    ),
    "thought": ("step INTEGER NOT NULL", "agent INTEGER NOT NULL", "text TEXT NOT NULL"),
    "reward": (
        "step INTEGER NOT NULL",
        "agent INTEGER NOT NULL",
        "reward REAL NOT NULL",
        "terminated INTEGER NOT NULL",
    ),
    "choice": ("step INTEGER NOT NULL", "agent INTEGER NOT NULL", "choice TEXT"),
    "chosen": ("step INTEGER NOT NULL", "choice TEXT", "agents INTEGER NOT NULL"),
    "outcome": ("step INTEGER NOT NULL", "agent INTEGER NOT NULL", "name TEXT NOT NULL", "value REAL NOT NULL"),
    "outcome_sum": ("step INTEGER NOT NULL", "name TEXT NOT NULL", "agents INTEGER NOT NULL", "total REAL NOT NULL"),
    "pressure": (
        "step INTEGER NOT NULL",
        "event TEXT NOT NULL",
        "pressed INTEGER NOT NULL",
        "begins INTEGER NOT NULL",
        "intensity REAL NOT NULL",
        "agents TEXT NOT NULL",
    ),
    "intervention": (
        "step INTEGER NOT NULL",
        "name TEXT NOT NULL",
        "action TEXT NOT NULL",
        "agent INTEGER",
        "message INTEGER",
        "detail TEXT NOT NULL",
    ),
    "call": (
        "step INTEGER NOT NULL",
        "agent INTEGER NOT NULL",
        "purpose TEXT NOT NULL",
        "model TEXT NOT NULL",
        "status TEXT NOT NULL",
        "reason TEXT",
        "prompt_tokens INTEGER",
        "completion_tokens INTEGER",
        "attempts INTEGER NOT NULL",
        "faults TEXT NOT NULL",
        "latency REAL",
        "served TEXT",
        "fingerprint TEXT",
        "endpoint TEXT",
        "request_key TEXT NOT NULL",
    ),
    "interview": (
        "step INTEGER NOT NULL",
        "agent INTEGER NOT NULL",
        "name TEXT NOT NULL",
        "answer TEXT",
        "status TEXT NOT NULL",
        "raw TEXT",
        "model TEXT",
        "calls INTEGER NOT NULL",
        "attempts INTEGER NOT NULL",
        "faults TEXT NOT NULL",
        "prompt_tokens INTEGER NOT NULL",
        "completion_tokens INTEGER NOT NULL",
    ),
    "compartment": (
        "step INTEGER NOT NULL",
        "strain TEXT NOT NULL",
        "kind TEXT NOT NULL",
        "compartment TEXT NOT NULL",
        "agents INTEGER NOT NULL",
    ),
    "affect": (
        "step INTEGER NOT NULL",
        "axis TEXT NOT NULL",
        "instrument TEXT NOT NULL",
        "messages INTEGER NOT NULL",
        "mean REAL NOT NULL",
        "sd REAL NOT NULL",
    ),
    "step": (
        "step INTEGER PRIMARY KEY",
        "messages INTEGER NOT NULL",
        "exposures INTEGER NOT NULL",
        "missing INTEGER NOT NULL",
        "failed_readings INTEGER NOT NULL",
        "seconds REAL NOT NULL",
    ),
}
"""Column declarations by table. `kind` is "latent" (a policy's own truth) or "case" (what the observer's case definition says);
transition.target "I" with origin "S" is a new case; an index case has the transition at step −1 and no cause. transition.onset is
the step of the first sign, transition.step that of its confirmation."""

TIMES = {"call": ("latency", "endpoint"), "step": ("seconds",), "meta": ("value",)}
"""Columns that hold times of day, durations, or who happened to be free, and so may differ between repeats of the same run."""


def columns(table: str) -> tuple[str, ...]:
    """Column names of a table, in order."""
    return tuple(declared.split()[0].strip('"') for declared in TABLES[table])
