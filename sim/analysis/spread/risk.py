"""Who was at risk when, and what had been heard by then: the rows on which dose, cause and contagion models rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.envs.message import SHOWN
from contagium.sim.analysis.kept import kept
from contagium.sim.analysis.places import places
from contagium.sim.analysis.spread.epidemic import chosen_strain, last_step, onsets
from contagium.sim.log import Run
from contagium.sim.observer.observer import STATED, as_stated

WINDOW = 3
"""Steps before an onset in which what was heard counts, where the run's case definition names none."""

NEVER = np.iinfo(np.int64).max
"""The onset of an agent that never was a case."""


@dataclass(frozen=True)
class Hearing:
    """Every message received by an agent that is logged in detail, by step and then by agent; all shape (m,).

    dose: how strongly the message shows the strain, as the case definition counts it: on the scale of outright expressions, 0
    where it does not hold the strain, NaN where it has no good reading.
    """

    agent: NDArray[np.int64]
    step: NDArray[np.int64]
    source: NDArray[np.int64]
    message: NDArray[np.int64]
    weight: NDArray[np.float64]
    dose: NDArray[np.float64]


@kept
def hearing(run: Run, strain: str | None = None) -> Hearing:
    """Who heard which message of the log, and how strongly it showed the strain."""
    strain = chosen_strain(run, strain)
    exposures, detailed = run.exposures, run.agents.loc[run.agents["detailed"] == 1, "id"]
    rows = slice(None) if len(detailed) == run.size else exposures["agent"].isin(detailed).to_numpy()
    names = ("agent", "step", "source", "message", "weight")
    columns = {name: exposures[name].to_numpy()[rows] for name in names}
    return Hearing(**columns, dose=doses_of(doses(run, strain), columns["message"]))


@kept
def doses(run: Run, strain: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Messages (k,) with a good reading, ids ascending, and how strongly each shows the strain, as `Hearing.dose` says."""
    rule: dict[str, Any] = run.meta["detection"][strain]
    if "axis" in rule:
        parts = [(name, rule["axis"], rule["enter"], rule["stay"]) for name in run.meta["axis_instruments"][rule["axis"]]]
    else:
        parts = [(STATED, strain, SHOWN, SHOWN), (rule["instrument"], strain, rule["enter"], rule["stay"])]
    ids, found = np.empty(0, dtype=np.int64), np.empty(0)
    for instrument, column, enter, stay in parts:
        read = _read(run, instrument, column)
        if len(ids):
            read = read[~read["id"].isin(ids)]  # the best instrument that has a good reading of a message counts
        value, towards = read["value"].to_numpy(np.float32), np.float32(np.sign(enter))
        held = towards * value >= towards * np.float32(stay)
        dose = value if instrument == STATED and "axis" not in rule else as_stated(value, np.asarray(enter, dtype=np.float32))
        ids, found = np.r_[ids, read["id"].to_numpy()], np.r_[found, np.where(held, dose, 0.0)]
    order = np.argsort(ids, kind="stable")
    return ids[order], found[order]


def _read(run: Run, instrument: str, column: str) -> pd.DataFrame:
    """Good readings of messages on one column: id and value, ids ascending."""
    # What was judged again later decided nothing.
    return run.read(instrument, column).dropna(subset=["value"]).drop_duplicates("id").sort_values("id")


def doses_of(read: tuple[NDArray[np.int64], NDArray[np.float64]], wanted: NDArray[np.int64]) -> NDArray[np.float64]:
    """The dose of each of the messages `wanted` (m,), NaN for one without a good reading. read: what `doses` gave. Shape (m,)."""
    ids, found = read
    return np.append(found, np.nan)[places(ids, wanted)]


@kept
def sent(run: Run) -> NDArray[Any]:
    """Messages of the log: id, step, sender."""
    return run.numbers("SELECT id, step, sender FROM message", [("id", "i8"), ("step", "i8"), ("sender", "i8")])


def cause_window(run: Run, strain: str | None = None) -> int:
    """Steps before an onset in which what an agent received is a candidate cause, by the run's case definition."""
    watched = run.meta["scenario"].get("observer", {})
    rule = watched.get("states", {}).get(chosen_strain(run, strain)) or watched.get("case", {})
    return int(rule.get("cause_window", WINDOW))


@kept
def at_risk(run: Run, strain: str | None = None, kind: str = "case", window: int | None = None) -> pd.DataFrame:
    """A row for each step in which an agent that is logged in detail acted and had not been a case before, by step and agent.

    Columns: step, agent; event: whether its onset is in this step; dose: Σ weight × dose of what it received in the `window`
    steps before; sources: agents whose messages among these showed the strain; heard: messages received in these steps; unread:
    those of them whose dose is not known, for they have no good reading or their sender is not logged in detail.
    window: default that of the case definition. A case counts once, from its onset on nobody is at risk again. An agent acted
    where it sent a message with a good reading, without which it cannot become a case; of kind "latent", in every step.
    Unread messages count as heard and add no dose: where they matter, leave such rows out.
    """
    strain, window = chosen_strain(run, strain), cause_window(run, strain) if window is None else window
    if window < 1:
        raise ValueError(f"window must be at least 1 step, got {window}")
    heard, steps = hearing(run, strain), last_step(run) + 1
    agents = np.sort(run.agents.loc[run.agents["detailed"] == 1, "id"].to_numpy(np.int64))
    cases = onsets(run, strain, kind)
    began = np.full(len(agents), NEVER)
    known = np.isin(cases["agent"], agents)
    began[np.searchsorted(agents, cases["agent"][known])] = cases["onset"][known]
    shape = (steps, len(agents))
    row = np.searchsorted(agents, heard.agent)
    within = heard.step < steps
    cell = (heard.step * len(agents) + row)[within]
    shown = np.where(np.isnan(heard.dose), 0.0, heard.dose)
    dose = np.bincount(cell, (heard.weight * shown)[within], minlength=steps * len(agents)).reshape(shape)
    count = np.bincount(cell, minlength=steps * len(agents)).reshape(shape)
    missed = np.bincount(cell, np.isnan(heard.dose)[within], minlength=steps * len(agents)).reshape(shape).astype(np.int64)
    risk = np.arange(steps)[:, None] <= began
    if kind == "case":
        risk &= _acted(run, strain, agents, shape)
    step, who = np.nonzero(risk)
    sources = _sources(heard, row, shown > 0, shape, window)
    return pd.DataFrame(
        {
            "step": step,
            "agent": agents[who],
            "event": began[who] == step,
            "dose": _before(dose, window)[step, who],
            "sources": sources[step, who],
            "heard": _before(count, window)[step, who],
            "unread": _before(missed, window)[step, who],
        }
    )


def _acted(run: Run, strain: str, agents: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether each agent sent a message with a good reading in each step, (T, n)."""
    said, who = sent(run), places(agents, sent(run)["sender"])
    known = (places(doses(run, strain)[0], said["id"]) >= 0) & (who >= 0) & (said["step"] < shape[0])
    acted = np.zeros(shape, dtype=bool)
    acted[said["step"][known], who[known]] = True
    return acted


def _before(table: NDArray[Any], window: int) -> NDArray[Any]:
    """The sum over the `window` rows before each row of a table (T, n)."""
    total = np.vstack([np.zeros_like(table[:1]), np.cumsum(table, axis=0)])
    at = np.arange(len(table))
    return total[at] - total[np.maximum(at - window, 0)]


def _sources(
    heard: Hearing, row: NDArray[np.int64], shown: NDArray[np.bool_], shape: tuple[int, int], window: int
) -> NDArray[np.int64]:
    """How many different agents showed the strain in what each agent received in the `window` steps before, (T, n)."""
    steps, size = shape
    most = int(heard.source.max(initial=0)) + 1
    pairs = [
        np.unique(((heard.step[shown] + later) * size + row[shown]) * most + heard.source[shown])
        for later in range(1, window + 1)
    ]
    cell = np.unique(np.concatenate(pairs)) // most
    return np.bincount(cell[cell < steps * size], minlength=steps * size).reshape(shape)
