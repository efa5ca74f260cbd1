"""Any set of runs, read once each and put into arms."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from contagium.sim.analysis.arms.outcomes import Outcome, Value, measured
from contagium.sim.analysis.arms.settings import at, differing, named, telling, without_ignored
from contagium.sim.log import LogError, open_run


@dataclass(frozen=True)
class Replicate:
    """One run, as far as it is compared. curve: share of agents that are a case, by step."""

    path: Path
    seed: int
    status: str
    scenario: dict[str, Any]
    steps: int
    versions: dict[str, str]
    values: dict[Outcome, Value]
    curve: pd.Series

    @property
    def by_name(self) -> dict[str, Value]:
        return {outcome.name: value for outcome, value in self.values.items()}


@dataclass(frozen=True)
class Arm:
    """Replicates of one condition. settings: what sets it apart from other arms, by key."""

    name: str
    settings: dict[str, Any]
    runs: tuple[Replicate, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.seed for run in self.runs)


def found_in(directories: Iterable[Path]) -> list[Path]:
    """Directories of runs: those given, and those below what is given, each once; numbered ones in the order of their numbers.

    LogError: something given is not there, or there is no run in any of it.
    """
    found: dict[Path, Path] = {}
    for given in directories:
        if not given.is_dir():
            raise LogError(f"no directory {given}")
        logs = [given / "run.db"] if (given / "run.db").is_file() else sorted(given.rglob("run.db"), key=_natural)
        found |= {log.parent.resolve(): log.parent for log in logs if log.is_file()}
    if not found:
        raise LogError("no run.db in or below what was given")
    return list(found.values())


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def read(
    paths: Sequence[Path], strain: str | None, kind: str, unfinished: bool, wanted: Container[str] | None = None
) -> tuple[list[Replicate], list[str]]:
    """The runs that can be read, and a note for each that cannot: of another schema, no log of ours, without such a strain.

    wanted: names of the outcomes to tell, as of `measured`.
    """
    runs, notes = [], []
    for path in paths:
        try:
            with closing_run(path) as run:
                values, curve = measured(run, strain, kind, unfinished, wanted)
                meta = run.meta
                facts = (
                    int(meta["seed"]),
                    str(meta["status"]),
                    dict(meta["scenario"]),
                    int(meta["steps"]),
                    dict(meta["versions"]),
                )
                runs.append(Replicate(path, *facts, values, curve))
        except (LogError, OSError) as error:
            notes.append(f"Left out: {error}")
        except (KeyError, TypeError, ValueError) as error:
            notes.append(f"Left out: {path / 'run.db'} lacks what a finished or begun run says of itself ({error})")
    return runs, notes


def closing_run(path: Path) -> closing[Any]:
    return closing(open_run(path))


def arms_of(runs: Sequence[Replicate], by: Sequence[str] = ()) -> tuple[list[Arm], list[str]]:
    """Runs grouped into arms by what differs between their scenarios, or by the keys in `by` alone; and notes on how.

    Arms whose settings are numbers come in their order, any others in that of their first run. LogError: no run has such a key.
    """
    found = differing([run.scenario for run in runs])
    keys, beside = telling(found)
    notes = []
    if by:
        values = {key: [at(run.scenario, key) for run in runs] for key in by}
        for key, column in values.items():
            if all(value is None for value in column):
                differ = ", ".join(keys) or "nothing does"
                raise LogError(f"--by: no run has a setting {key}; what differs between runs: {differ}")
        hidden = [key for key in keys if key not in by]
        if hidden:
            notes.append(f"Runs of one arm may differ in {', '.join(hidden)}: arms were asked for by {', '.join(by)} alone.")
    else:
        values = {key: found[key] for key in keys}
        if beside:
            notes.append(f"Arms also differ in {', '.join(beside)}: what is put down to one setting may be the work of another.")
    return _grouped(runs, values), notes


def _grouped(runs: Sequence[Replicate], values: dict[str, list[Any]]) -> list[Arm]:
    groups: dict[str, tuple[dict[str, Any], list[Replicate]]] = {}
    for place, run in enumerate(runs):
        settings = {key: column[place] for key, column in values.items()}
        groups.setdefault(repr(settings), (settings, []))[1].append(run)
    told = list(groups.values())
    if all(number(value) or value is None for settings, _ in told for value in settings.values()):
        told.sort(key=lambda one: [(value is not None, value or 0) for value in one[0].values()])
    names = Counter[str]()
    arms = []
    for settings, members in told:
        name = named(list(settings), list(settings.values()))
        names[name] += 1
        arms.append(Arm(name if names[name] == 1 else f"{name} ({names[name]})", settings, tuple(members)))
    return arms


def number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def without_copies(arms: Sequence[Arm]) -> tuple[list[Arm], list[str]]:
    """Arms whose runs differ: one that repeats another of its seed in every number adds nothing but false precision."""
    left, notes = [], []
    for arm in arms:
        kept: dict[str, Replicate] = {}
        for run in arm.runs:
            same = repr((run.seed, run.status, without_ignored(run.scenario), run.by_name))
            if same in kept:
                notes.append(f"Left out: {run.path} repeats {kept[same].path}, with the same seed and the same numbers.")
            kept.setdefault(same, run)
        left.append(Arm(arm.name, arm.settings, tuple(kept.values())))
    return left, notes


def cautions(arms: Sequence[Arm]) -> list[str]:
    """What to know of these runs before comparing them."""
    runs = [run for arm in arms for run in arm.runs]
    notes = []
    for name in sorted({name for run in runs for name in run.versions}):
        versions = sorted({run.versions.get(name, "unknown") for run in runs})
        if len(versions) > 1:
            notes.append(
                f"Runs were made with different versions of {name} ({', '.join(versions)}): arms may differ by that alone."
            )
    cut = [run for run in runs if run.status != "finished"]
    if cut:
        some = ", ".join(f"{run.path} ({run.status})" for run in cut[:5])
        notes.append(f"{len(cut)} of {len(runs)} runs did not finish: {some}{', …' if len(cut) > 5 else ''}.")
    for arm in arms:
        twice = [str(seed) for seed, times in Counter(arm.seeds).items() if times > 1]
        if twice:
            notes.append(
                f"{arm.name}: several runs have the seed {', '.join(twice)}; they share its network and its index cases."
            )
    return notes
