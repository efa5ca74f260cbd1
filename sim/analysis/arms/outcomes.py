"""What is compared: every outcome of a run is one number, defined here and read from the log alone.

A further outcome is a function of `Seen` and a line in `FIXED`, or in one of the families for what only some runs measure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np
import pandas as pd

from contagium.sim.analysis.emotion.affect import affect_curves
from contagium.sim.analysis.spread.epidemic import CASES, INFECTIOUS, Share, chosen_strain, compartment_curves, last_step
from contagium.sim.analysis.trees.reproduction import half, secondary_cases
from contagium.sim.analysis.trees.tree import Chains, chains
from contagium.sim.reading import Run

Form = Literal["number", "ratio", "share", "event"]
"""Any number; one whose 0 is nothing at all; one from 0 to 1; what happened in a run or did not."""

DISTRESS, OPEN = "distress", 5.0
"""The measure, 0 to 10, and the reading from which distress is open."""


class UndefinedError(Exception):
    """An outcome that a run does not have; the message says why."""


@dataclass(frozen=True)
class Seen:
    """One run, and of which strain and kind of cases its outcomes are told."""

    run: Run
    strain: str
    kind: str = "case"

    @cached_property
    def chains(self) -> Chains:
        return chains(self.run, self.strain, self.kind)

    @cached_property
    def last(self) -> int:
        return last_step(self.run)

    @cached_property
    def caught(self) -> pd.DataFrame:
        """Cases that were not seeded."""
        return self.chains.cases[~self.chains.cases["index"]]

    @cached_property
    def affect(self) -> dict[str, pd.DataFrame]:
        return affect_curves(self.run)

    @cached_property
    def steps(self) -> pd.DataFrame:
        return self.run.table("step")

    @cached_property
    def prevalence(self) -> pd.Series:
        """Agents that are a case after each step, as a share of all; empty where no compartments are logged."""
        curves = compartment_curves(self.run, self.strain, self.kind)
        cases = [name for name in (CASES if self.kind == "case" else (INFECTIOUS,)) if name in curves]
        return curves[cases].sum(axis=1) / curves.sum(axis=1) if cases else pd.Series(dtype=float)


@dataclass(frozen=True)
class Outcome:
    """says: what it is, in a few words. usual: compared unless others are asked for. whole: known only of a run not cut short."""

    name: str
    says: str
    form: Form
    of: Callable[[Seen], float]
    usual: bool = True
    whole: bool = True


@dataclass(frozen=True)
class Value:
    """An outcome of one run: a number, or the reason why there is none."""

    value: float | None
    reason: str | None = None


def _known(of: float | None, reason: str) -> float:
    if of is None:
        raise UndefinedError(reason)
    return of


def _attack(seen: Seen) -> float:
    seeded = len(seen.chains.cases) - len(seen.caught)
    return _known(Share(len(seen.caught), seen.run.size - seeded).value, "every agent is an index case")


def _size(seen: Seen) -> float:
    return _known(Share(len(seen.chains.cases), seen.run.size).value, "no population was recorded")


def _took_off(seen: Seen) -> float:
    return float((seen.caught["generation"] >= 2).any())


def _peak(seen: Seen) -> float:
    return _known(seen.prevalence.max() if len(seen.prevalence) else None, "no compartments were recorded")


def _peak_step(seen: Seen) -> float:
    return _known(float(seen.prevalence.idxmax()) if len(seen.prevalence) else None, "no compartments were recorded")


def _reproduction(seen: Seen) -> float:
    """Of one run however few its cases: to leave out runs in which little spread would make every arm look alike."""
    counts = secondary_cases(seen.chains, seen.last, half(seen.last))
    return _known(float(counts.mean()) if len(counts) else None, "no case that could be followed")


def _first_case(seen: Seen) -> float:
    if seen.caught.empty:
        raise UndefinedError("no case")
    return float(seen.caught["onset"].min())


def _missing(seen: Seen) -> float:
    missing, sent = int(seen.steps["missing"].sum()), int(seen.steps["messages"].sum())
    return _known(missing / (missing + sent) if missing + sent else None, "nobody had a turn")


def _unread(seen: Seen) -> float:
    query = "SELECT COUNT(*), COALESCE(SUM(status != 'ok'), 0) FROM reading"
    rows, failed = seen.run.rows(query)[0]
    return _known(failed / rows if rows else None, "nothing was read")


def _reward(seen: Seen) -> float:
    mean = seen.run.rows("SELECT AVG(reward) FROM reward")[0][0]
    return _known(mean, "nothing was earned")


def _mean(axis: str, seen: Seen) -> float:
    return _weighted(seen.affect[axis])


def _highest(axis: str, seen: Seen) -> float:
    return float(seen.affect[axis]["mean"].max())


def _change(axis: str, seen: Seen) -> float:
    curve = seen.affect[axis]
    third = len(curve) // 3
    if not third:
        raise UndefinedError("fewer than 3 steps")
    return _weighted(curve.iloc[-third:]) - _weighted(curve.iloc[:third])


def _weighted(curve: pd.DataFrame) -> float:
    """Mean over messages of some steps."""
    read = curve[curve["messages"] > 0]
    if read.empty:
        raise UndefinedError("nothing was read in some part of the run")
    return float(np.average(read["mean"], weights=read["messages"]))


def _distressed(seen: Seen) -> float:
    """Of the messages logged in detail that have a good reading."""
    standing = None
    for instrument in seen.run.meta["axis_instruments"][DISTRESS]:
        found = seen.run.read(instrument, DISTRESS).dropna(subset=["value"]).set_index("id")["value"]
        standing = found if standing is None else standing.combine_first(found)
    if standing is None or standing.empty:
        raise UndefinedError("no good reading of distress")
    return float((standing >= OPEN).mean())


def _chose(choice: str, seen: Seen) -> float:
    """Of the valid choices, everybody counted."""
    valid = seen.run.table("chosen").dropna(subset=["choice"])
    total = int(valid["agents"].sum())
    return _known(valid.loc[valid["choice"] == choice, "agents"].sum() / total if total else None, "nobody chose")


FIXED = (
    Outcome("attack_rate", "share of initially susceptible agents that became a case", "share", _attack),
    Outcome("final_size", "share of all agents that ever were a case", "share", _size, usual=False),
    Outcome("any_case", "somebody caught it", "event", lambda seen: float(len(seen.caught) > 0), usual=False),
    Outcome("took_off", "somebody caught it from one who had caught it", "event", _took_off),
    Outcome("peak_prevalence", "highest share of agents infectious at once", "share", _peak),
    Outcome("peak_step", "step of that peak", "number", _peak_step, usual=False),
    Outcome("reproduction", "reproduction number: cases that an early case led to, on average", "ratio", _reproduction),
    Outcome("first_case", "step of the first case", "number", _first_case),
)
RATES = (
    Outcome("missing_turns", "share of turns that are missing", "share", _missing, usual=False, whole=False),
    Outcome("failed_readings", "share of readings that failed", "share", _unread, usual=False, whole=False),
)
"""Of every run, beside whatever it shows."""


def outcomes(seen: Seen) -> Iterator[Outcome]:
    """Every outcome that this run's log can tell of."""
    yield from FIXED
    for axis in seen.affect:
        yield Outcome(f"mean_{axis}", f"mean {axis} of messages", "number", partial(_mean, axis))
        yield Outcome(f"peak_{axis}", f"highest mean {axis} of a step", "number", partial(_highest, axis), usual=False)
        yield Outcome(f"change_{axis}", f"{axis} in the last third of steps less the first", "number", partial(_change, axis))
    if DISTRESS in seen.affect:
        yield Outcome("distressed", f"share of messages with distress of {OPEN:g} or more", "share", _distressed)
    for choice in seen.run.meta.get("choices") or ():
        yield Outcome(f"chose_{choice}", f"share of choices that were {choice}", "share", partial(_chose, choice))
    if seen.run.rows("SELECT 1 FROM reward LIMIT 1"):
        yield Outcome("reward", "mean reward of an agent in a step", "number", _reward)
    yield from RATES


def measured(
    run: Run, strain: str | None = None, kind: str = "case", unfinished: bool = False
) -> tuple[dict[Outcome, Value], pd.Series]:
    """Every outcome of a run, and its prevalence by step. unfinished: tell of a run cut short as if it were whole.

    LogError: it has no such strain, or its log cannot be read.
    """
    seen = Seen(run, chosen_strain(run, strain), kind)
    done = unfinished or run.meta["status"] == "finished"
    found = {}
    for outcome in outcomes(seen):
        try:
            if seen.last < 0:
                raise UndefinedError("no step was done")
            if outcome.whole and not done:
                raise UndefinedError("the run was cut short")
            number = float(outcome.of(seen))
            if not np.isfinite(number):
                raise UndefinedError("no number can be made of what was recorded")
            found[outcome] = Value(number)
        except UndefinedError as error:
            found[outcome] = Value(None, str(error))
    return found, seen.prevalence
