"""What is compared: every outcome of a run is one number, defined here and read from the log alone.

A further outcome is a function of `Seen` and a line in `FIXED`, or in one of the families for what only some runs measure.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd

from contagium.sim.analysis.arms.feelings import DISTRESS, ON_AXES, OPEN, answers, distressed, drift, lead, recovered, relapsed
from contagium.sim.analysis.arms.seen import Seen, UndefinedError, known
from contagium.sim.analysis.spread.epidemic import Share, chosen_strain
from contagium.sim.analysis.trees.reproduction import half, secondary_cases
from contagium.sim.reading import Run

Form = Literal["number", "ratio", "share", "event"]
"""Any number; one whose 0 is nothing at all; one from 0 to 1; what happened in a run or did not."""


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


def _attack(seen: Seen) -> float:
    seeded = len(seen.chains.cases) - len(seen.caught)
    return known(Share(len(seen.caught), seen.run.size - seeded).value, "every agent is an index case")


def _size(seen: Seen) -> float:
    return known(Share(len(seen.chains.cases), seen.run.size).value, "no population was recorded")


def _took_off(seen: Seen) -> float:
    return float((seen.caught["generation"] >= 2).any())


def _peak(seen: Seen) -> float:
    return known(seen.prevalence.max() if len(seen.prevalence) else None, "no compartments were recorded")


def _peak_step(seen: Seen) -> float:
    return known(float(seen.prevalence.idxmax()) if len(seen.prevalence) else None, "no compartments were recorded")


def _reproduction(seen: Seen) -> float:
    """Of one run however few its cases: to leave out runs in which little spread would make every arm look alike."""
    counts = secondary_cases(seen.chains, seen.last, half(seen.last))
    return known(float(counts.mean()) if len(counts) else None, "no case that could be followed")


def _first_case(seen: Seen) -> float:
    if seen.caught.empty:
        raise UndefinedError("no case")
    return float(seen.caught["onset"].min())


def _missing(seen: Seen) -> float:
    missing, sent = int(seen.steps["missing"].sum()), int(seen.steps["messages"].sum())
    return known(missing / (missing + sent) if missing + sent else None, "nobody had a turn")


def _unread(seen: Seen) -> float:
    query = "SELECT COUNT(*), COALESCE(SUM(status != 'ok'), 0) FROM reading"
    rows, failed = seen.run.rows(query)[0]
    return known(failed / rows if rows else None, "nothing was read")


def _reward(seen: Seen) -> float:
    mean = seen.run.rows("SELECT AVG(reward) FROM reward")[0][0]
    return known(mean, "nothing was earned")


def _chose(choice: str, seen: Seen) -> float:
    """Of the valid choices, everybody counted."""
    valid = seen.run.table("chosen").dropna(subset=["choice"])
    total = int(valid["agents"].sum())
    return known(valid.loc[valid["choice"] == choice, "agents"].sum() / total if total else None, "nobody chose")


def _outcome(name: str, seen: Seen) -> float:
    """Of all agents and steps that it concerned."""
    agents, total = _summed(name, seen)
    return known(total / agents if agents else None, f"{name} concerned nobody")


def _summed(name: str, seen: Seen) -> tuple[int, float]:
    query = "SELECT COALESCE(SUM(agents), 0), COALESCE(SUM(total), 0) FROM outcome_sum WHERE name = ?"
    agents, total = seen.run.rows(query, (name,))[0]
    return int(agents), float(total)


def _first(name: str, seen: Seen) -> float:
    step = seen.run.rows("SELECT MIN(step) FROM outcome_sum WHERE name = ? AND total > 0", (name,))[0][0]
    if step is None:
        raise UndefinedError("it never happened")
    return float(step)


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
OF_DISTRESS = (
    Outcome("distressed", f"share of messages with distress of {OPEN:g} or more", "share", distressed),
    Outcome("recovered", "share of agents once distressed whose last message is not", "share", recovered, usual=False),
    Outcome("relapsed", "share of agents that came out of distress and fell back", "share", relapsed, usual=False),
)
ONCE_SEEN = ("mean_", "first_", "lead_", "answer_", "drift_")
"""How names begin of which a run tells only once it is over: of deeds in its world, and of answers to its interviews."""

ANSWERED = """
    SELECT DISTINCT substr(channel, 11), key FROM reading, json_each(scores)
    WHERE instrument = 'interview' AND channel LIKE 'interview:%' ORDER BY 1, 2
"""


def outcomes(seen: Seen) -> Iterator[Outcome]:
    """Every outcome that this run's log can tell of."""
    yield from FIXED
    for axis in seen.affect:
        for family, (says, of, usual) in ON_AXES.items():
            yield Outcome(f"{family}_{axis}", says.format(axis), "number", partial(of, axis), usual)
    if DISTRESS in seen.affect:
        yield from OF_DISTRESS
    for choice in seen.run.meta.get("choices") or ():
        yield Outcome(f"chose_{choice}", f"share of choices that were {choice}", "share", partial(_chose, choice))
    for (name,) in seen.run.rows("SELECT DISTINCT name FROM outcome_sum ORDER BY name"):
        yield Outcome(f"mean_{name}", f"mean {name}, of agents and steps that it concerned", "number", partial(_outcome, name))
        yield Outcome(f"first_{name}", f"first step with any {name}", "number", partial(_first, name), usual=False)
        if DISTRESS in seen.affect:
            says = f"steps from an agent's first message with distress of {OPEN:g} or more to its first {name}"
            yield Outcome(f"lead_{name}", says, "number", partial(lead, name), usual=False)
    for item, axis in seen.run.rows(ANSWERED):
        yield Outcome(f"answer_{item}_{axis}", f"mean {axis} of answers to {item}", "number", partial(answers, item, axis))
        says = f"{axis} of the last answers to {item} less that of the first"
        yield Outcome(f"drift_{item}_{axis}", says, "number", partial(drift, item, axis), usual=False)
    if seen.run.rows("SELECT 1 FROM reward LIMIT 1"):
        yield Outcome("reward", "mean reward of an agent in a step", "number", _reward)
    yield from RATES


def measured(
    run: Run, strain: str | None = None, kind: str = "case", unfinished: bool = False, wanted: Container[str] | None = None
) -> tuple[dict[Outcome, Value], pd.Series]:
    """Every outcome of a run, and its prevalence by step.

    unfinished: tell of a run cut short as if it were whole. wanted: names of outcomes, beside those of every run that are told
    all the same (`RATES`); None: all. LogError: it has no such strain, or its log cannot be read.
    """
    seen = Seen(run, chosen_strain(run, strain), kind)
    done = unfinished or run.meta["status"] == "finished"
    found = {}
    for outcome in outcomes(seen):
        if wanted is not None and outcome.name not in wanted and outcome not in RATES:
            continue
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
