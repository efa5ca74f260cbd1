"""Affect as a panel: what each agent showed in each step, and what it heard, on one measure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contagium.envs.rng import Streams
from contagium.sim.analysis.places import places
from contagium.sim.analysis.spread.epidemic import CASES, last_step, measure_of, moves
from contagium.sim.log import LogError, Run

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AXES = ("valence", "arousal", "distress")
"""The measures that are analysed where none are named, as far as the run has them."""

PRESSURE, PERSONA = "pressure", "persona"

_NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Begin:
    """A pressure event that begins. pressed: rows of the agents for whom it does, ascending."""

    event: str
    step: int
    pressed: Ints


@dataclass(frozen=True)
class Panel:
    """n agents over T steps on one measure.

    own: (n, T) mean reading of what the agent said in the step. heard: (n, T) mean over what it received in the step, weighted by
    the contact, where a message without a reading counts as what its source usually shows; it can act on that in the next step.
    Both NaN where there is no good reading, heard also where any of it is not in the log, its source not being logged in detail:
    there the same mean would stand for all that somebody said, and flatten every slope. hearer, source, at: (e,) rows of agents
    and step of each message received from one of them, by step. moved: (n, T) each, what else may move affect, by name: intensity
    of pressure, summed over events, and whether the agent is a case of a persona. begins: events of pressure. messages, unread:
    said, and said without a good reading; received, lost: the same of messages received that are in the log. listened, partly:
    agent-steps in which something was received, and those in which not all of that is in the log.
    """

    axis: str
    agents: Ints
    own: Floats
    heard: Floats
    hearer: Ints = field(default_factory=lambda: _NOTHING)
    source: Ints = field(default_factory=lambda: _NOTHING)
    at: Ints = field(default_factory=lambda: _NOTHING)
    moved: dict[str, Floats] = field(default_factory=dict)
    begins: tuple[Begin, ...] = ()
    messages: int = 0
    unread: int = 0
    received: int = 0
    lost: int = 0
    listened: int = 0
    partly: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Agents and steps."""
        return self.own.shape[0], self.own.shape[1]

    @property
    def streams(self) -> Streams:
        """Randomness keyed by what was read: the same log gives the same numbers, two logs are not relabelled alike."""
        return Streams(int.from_bytes(hashlib.blake2b(self.own.tobytes(), digest_size=7).digest(), "little"))

    def pairs(self) -> tuple[Ints, Ints]:
        """Who ever heard whom: rows of hearers and sources, each pair once, by hearer."""
        codes = distinct(self.hearer * len(self.agents) + self.source)
        return codes // max(len(self.agents), 1), codes % max(len(self.agents), 1)


def panels(run: Run, axes: Sequence[str] | None = None) -> dict[str, Panel]:
    """The panel of each measure, of the agents logged in detail. axes: default those of `AXES` that the run has.

    LogError: the log cannot be read. A measure that the run does not have gives a panel without a reading.
    """
    chosen = list(axes) if axes is not None else [axis for axis in AXES if axis in run.meta.get("axis_instruments", {})]
    agents = np.sort(run.agents.loc[run.agents["detailed"] == 1, "id"].to_numpy(np.int64))
    steps = last_step(run) + 1
    if not chosen or not len(agents):
        return {}
    table = run.messages
    table = table if table["id"].is_monotonic_increasing else table.sort_values("id")
    kept = (table["step"].to_numpy() < steps) & (places(agents, table["sender"].to_numpy()) >= 0)
    table = table if kept.all() else table[kept]
    ids, at, speaker = table["id"].to_numpy(), table["step"].to_numpy(), places(agents, table["sender"].to_numpy())
    heard, hearer, source, message = _hearings(run, agents, steps, ids, speaker)
    pressed, begins = _pressure(run, agents, steps)
    shape, weight, cell, known = (len(agents), steps), heard["weight"], hearer * steps + heard["step"], source >= 0
    received, partly = (_some(cells, shape) for cells in (cell, cell[~known]))
    shared: dict[str, Any] = {
        "hearer": hearer[known],
        "source": source[known],
        "at": heard["step"][known],
        "moved": {PRESSURE: pressed, PERSONA: _cases(run, agents, steps)},
        "begins": begins,
        "messages": len(ids),
        "received": int(known.sum()),
        "listened": int(received.sum()),
        "partly": int(partly.sum()),
    }
    found = {}
    for axis in chosen:
        value = table[axis].to_numpy(np.float64) if axis in table else np.full(len(ids), np.nan)
        taken = np.r_[value, np.nan][message]
        own = _mean(speaker * steps + at, value, np.ones(len(value)), shape)
        stands = usual(np.vstack([own, np.full(steps, np.nan)]))[source]
        mean = np.where(partly, np.nan, _heard(cell, taken, stands, weight, shape))
        unread, lost = int(np.isnan(value).sum()), int(np.isnan(taken[known]).sum())
        found[axis] = Panel(axis, agents, own, mean, unread=unread, lost=lost, **shared)
    return found


def _hearings(run: Run, agents: Ints, steps: int, ids: Ints, speaker: Ints) -> tuple[dict[str, NDArray[Any]], Ints, Ints, Ints]:
    """Messages received from others, by step: step and weight, rows of hearer and source, place of the message among `ids`.

    Source and message are −1 where the message is not logged; then nobody logged in detail has sent it.
    """
    heard = run.exposures
    heard = heard if heard["step"].is_monotonic_increasing else heard.sort_values("step", kind="stable")
    message, hearer = places(ids, heard["message"].to_numpy()), places(agents, heard["agent"].to_numpy())
    source = np.r_[speaker, -1][message]
    kept = (heard["step"].to_numpy() < steps) & (hearer >= 0) & (source != hearer)
    columns = {name: heard[name].to_numpy()[kept] for name in ("step", "weight")}
    return columns, hearer[kept], source[kept], message[kept]


def distinct(codes: Ints) -> Ints:
    """The different ones among codes (m,), ascending; of millions far quicker than `np.unique`, which hashes them."""
    ranked = np.sort(codes)
    return ranked[np.r_[True, ranked[1:] != ranked[:-1]]] if len(ranked) else ranked


def _mean(cell: Ints, value: Floats, weight: Floats, shape: tuple[int, int]) -> Floats:
    """Weighted mean of the good values in each cell, NaN where there is none."""
    good = np.isfinite(value) & (weight > 0)
    cells, size = cell[good], shape[0] * shape[1]
    total = np.bincount(cells, weight[good], minlength=size)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.bincount(cells, value[good] * weight[good], minlength=size) / total
    return mean.reshape(shape)


def usual(own: Floats) -> Floats:
    """Mean reading of each agent (n,) over its steps (n, T); of whom nothing is read, that of all; 0 where there is none."""
    known = np.isfinite(own)
    total, count = np.where(known, own, 0.0).sum(axis=1), known.sum(axis=1)
    everybody = total.sum() / max(int(count.sum()), 1)
    return np.where(count > 0, total / np.maximum(count, 1), everybody)


def _heard(cell: Ints, value: Floats, stands: Floats, weight: Floats, shape: tuple[int, int]) -> Floats:
    """Mean of what each cell heard, NaN where none of it is known.

    For a message that is not, what its source usually shows stands in. To leave it out would let the mean jump with whoever is
    missing, which flattens every slope on it; the expected value does not (Berkson 1950).
    """
    unread = np.isnan(value)
    mean = _mean(cell, np.where(unread, stands, value), weight, shape)
    return np.where(_some(cell[~unread], shape), mean, np.nan)


def _some(cell: Ints, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Which cells are among these."""
    found = np.zeros(shape[0] * shape[1], dtype=bool)
    found[cell] = True
    return found.reshape(shape)


def _cases(run: Run, agents: Ints, steps: int) -> Floats:
    """Of how many personas each agent is a case in each step, (n, T), from its first sign on. A state of affect is no persona."""
    change = np.zeros((len(agents), steps + 1))
    for strain in [name for name in run.meta.get("strains", ()) if measure_of(run, name) == name]:
        table = moves(run, strain)
        table = table[table["agent"].isin(agents) & (table["step"] < steps)]
        begins, ends = (table[side].isin(CASES).to_numpy() for side in ("target", "origin"))
        row = np.searchsorted(agents, table["agent"].to_numpy())
        at = np.where(begins, table["onset"], table["step"]).clip(0)
        np.add.at(change, (row, at), begins.astype(float) - ends)
    return change[:, :steps].cumsum(axis=1)


def _pressure(run: Run, agents: Ints, steps: int) -> tuple[Floats, tuple[Begin, ...]]:
    """Intensity on each agent in each step, (n, T), and the beginnings of events.

    Who is pressed now and was not in the step before is newly pressed; where an event begins for all whom it presses, all are.
    """
    intensity, begins = np.zeros((len(agents), steps)), []
    before: dict[str, tuple[int, Ints]] = {}
    for row in run.table("pressure").itertuples():
        rows = _pressed(str(row.agents), agents)
        if row.step >= steps:
            continue
        intensity[rows, row.step] += row.intensity
        last, those = before.get(row.event, (-2, _NOTHING))
        new = rows if row.begins == row.pressed or last < row.step - 1 else np.setdiff1d(rows, those)
        if row.begins and len(new):
            begins.append(Begin(str(row.event), int(row.step), new))
        before[row.event] = int(row.step), rows
    return intensity, tuple(begins)


def _pressed(named: str, agents: Ints) -> Ints:
    """Rows of those among `agents` whom a row of the table `pressure` names."""
    if named == "all":
        return np.arange(len(agents))
    try:
        return np.flatnonzero(np.isin(agents, np.array(named.split(","), dtype=np.int64)))
    except ValueError as error:
        raise LogError(f"table pressure names no agents: {error}") from error
