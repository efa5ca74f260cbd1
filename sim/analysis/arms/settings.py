"""What differs between scenarios, and what to call it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

ABSENT = "none"
IGNORED = ("seed", "name", "log", "run", "calls", "budget", "env.path")
"""Settings that make no arm: what only names a run, where it is kept, and how it is carried out."""

LONGEST = 40
"""Characters of a value in the name of an arm."""


def differing(scenarios: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Dotted key → its value in each scenario, of those that are not the same in all; a part that is missing has the value None.

    Where a whole part is there in some scenarios only, its own key says so, by what it builds (`_target_`), and so do the keys
    within it that differ among those that have it.
    """
    found: dict[str, list[Any]] = {}
    _compare("", list(scenarios), found)
    return {key: values for key, values in found.items() if not _ignored(key)}


def _compare(key: str, values: list[Any], found: dict[str, list[Any]]) -> None:
    parts = [value for value in values if isinstance(value, Mapping)]
    if not parts:
        if any(value != values[0] for value in values):
            found[key] = values
        return
    if len(parts) < len(values):
        found[key] = [value.get("_target_", "yes") if isinstance(value, Mapping) else value for value in values]
    for name in dict.fromkeys(name for part in parts for name in part):
        inner = [part.get(name) for part in parts]
        here: dict[str, list[Any]] = {}
        _compare(f"{key}.{name}".lstrip("."), inner, here)
        for inner_key, some in here.items():
            left = iter(some)
            found[inner_key] = [next(left) if isinstance(value, Mapping) else None for value in values]


def _ignored(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in IGNORED)


def at(scenario: Mapping[str, Any], key: str) -> Any:
    """What a scenario has at a dotted key, None where it has nothing there."""
    value: Any = scenario
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value.get("_target_", "yes") if isinstance(value, Mapping) else value


def without_ignored(scenario: Mapping[str, Any]) -> str:
    """What makes a run what it is, but for its seed, as text to compare."""
    return _mark({key: value for key, value in scenario.items() if key not in IGNORED})


def telling(found: Mapping[str, list[Any]]) -> tuple[list[str], list[str]]:
    """The keys that tell all arms apart, as few and short as may be, and those that say the same under another value.

    A key that only repeats another (the same name and the same values, as what one part of a scenario takes from another) is
    neither. What `_target_` a part has comes before what is within it.
    """
    kept: list[str] = []
    beside: list[str] = []
    groups: list[Any] = [()] * len(next(iter(found.values()), []))
    for key in sorted(found, key=lambda key: (key.count("."), "_target_" not in key, len(key), key)):
        values = [_mark(value) for value in found[key]]
        finer = [(*group, value) for group, value in zip(groups, values, strict=True)]
        if len(set(finer)) > len(set(groups)):
            kept.append(key)
            groups = finer
        elif not any(_leaf(key) == _leaf(other) and found[key] == found[other] for other in found if other != key):
            beside.append(key)
    return kept, beside


def _leaf(key: str) -> str:
    return key.removesuffix("._target_").rsplit(".", 1)[-1]


def _mark(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def named(keys: Sequence[str], values: Sequence[Any]) -> str:
    """An arm by what sets it apart, keys by their last two parts: "model.recovery_rate=0.1, intervention.quarantine=none"."""
    whole = [key.removesuffix("._target_") for key in keys]
    short = [".".join(key.split(".")[-2:]) for key in whole]
    names = [s if short.count(s) == 1 else w for w, s in zip(whole, short, strict=True)]
    return ", ".join(f"{name}={said(value)}" for name, value in zip(names, values, strict=True)) or "all runs"


def said(value: Any) -> str:
    """A value in a few characters."""
    if value is None:
        return ABSENT
    if isinstance(value, float):
        return f"{value:g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value.startswith("contagium.") and " " not in value:
        text = value.rsplit(".", 1)[-1]
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
