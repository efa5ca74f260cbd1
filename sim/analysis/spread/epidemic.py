"""How far a strain got: onsets, compartment curves, attack rate, final size and peak, from the log alone.

`kind` is "case" (what the observer's case definition says) or "latent" (a policy's own truth, where it has one).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.sim.log import LogError, Run

KINDS = ("case", "latent")
SUSCEPTIBLE, INFECTIOUS = "S", "I"
CASES = ("I", "H")
"""Compartments of the observer in which an agent is a case: symptomatic, shedding."""

ORDER = ("S", "E", "C", "I", "H", "R")
"""The order in which compartments are listed; any others follow by name."""


@dataclass(frozen=True)
class Share:
    """`count` out of `of`."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """The share in [0, 1]; None where it is a share of nothing."""
        return self.count / self.of if self.of else None


@dataclass(frozen=True)
class Peak:
    """The highest share of agents infectious at one time, and the first step at which it was reached."""

    share: float
    step: int


def chosen_strain(run: Run, strain: str | None = None) -> str:
    """`strain`, or the run's first. LogError: the run has no such strain, or none at all."""
    strains = run.meta.get("strains", ())
    if not strains:
        raise LogError(f"{run.path} names no strain: the run ended before it began")
    if strain is not None and strain not in strains:
        raise LogError(f"no strain {strain!r}: the run has {', '.join(strains)}")
    return strain or str(strains[0])


def measure_of(run: Run, strain: str) -> str:
    """The measure that messages show a strain on: its own axis; of an emotional state the one that it is read off."""
    return str(run.meta.get("detection", {}).get(strain, {}).get("axis", strain))


def checked_kind(kind: str) -> str:
    if kind not in KINDS:
        raise LogError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    return kind


def last_step(run: Run) -> int:
    """The last committed step, −1 where none is."""
    steps = run.table("step")["step"]
    return int(steps.max()) if len(steps) else -1


def index_agents(run: Run, strain: str | None = None) -> NDArray[np.int64]:
    """Ids of the agents that were seeded with the strain, ascending."""
    agents = run.agents
    return np.sort(agents.loc[agents["strain"] == chosen_strain(run, strain), "id"].to_numpy(np.int64))


def moves(run: Run, strain: str | None = None, kind: str = "case") -> pd.DataFrame:
    """The transitions of one strain and kind, in the order they happened: id, step, onset, agent, origin, target."""
    table = run.transitions
    chosen = (table["strain"] == chosen_strain(run, strain)) & (table["kind"] == checked_kind(kind))
    return table.loc[chosen, ["id", "step", "onset", "agent", "origin", "target"]]


def onsets(run: Run, strain: str | None = None, kind: str = "case") -> pd.DataFrame:
    """The first case of each agent that became one, by onset: agent, onset, confirmed, transition, index (bool).

    onset: step of the first sign. confirmed: step from which it counts as a case, never before onset. Both are −1 for index
    cases. transition: −1 where none is logged. A later case of the same agent (a relapse, a reinfection) is no new onset.
    LogError: kind is "latent", and no latent truth is logged.
    """
    index = index_agents(run, strain)
    moved = moves(run, strain, kind)
    # The observer's exposed and carriers show nothing yet.
    begins = _infections(run, moved) if kind == "latent" else (moved["target"] == INFECTIOUS) & ~moved["origin"].isin(CASES)
    moved = moved[begins].rename(columns={"id": "transition", "step": "confirmed"})
    seeded = pd.DataFrame({"agent": index, "onset": -1, "confirmed": -1, "transition": -1})
    logged = moved.loc[moved["confirmed"] < 0].set_index("agent")["transition"]
    seeded["transition"] = seeded["agent"].map(logged).fillna(-1).astype(np.int64)
    later = moved.loc[~moved["agent"].isin(index), ["agent", "onset", "confirmed", "transition"]]
    parts = [part for part in (seeded, later) if len(part)] or [seeded]
    cases = pd.concat(parts, ignore_index=True).drop_duplicates("agent").astype(np.int64)
    cases = cases.sort_values(["onset", "agent"], kind="stable", ignore_index=True)
    return cases.assign(index=np.isin(cases["agent"], index))


def _infections(run: Run, moved: pd.DataFrame) -> pd.Series:
    """Which latent moves (n,) are infections: those out of S, and where a model has other compartments all that somebody caused.

    LogError: no latent truth is logged.
    """
    if not len(moved) and not (run.compartments["kind"] == "latent").any():
        raise LogError(f"{run.path} holds no latent truth: mechanistic agents alone have one")
    left = moved["origin"] == SUSCEPTIBLE
    if set(moved["origin"]) <= set(ORDER):
        return left
    return left | moved["id"].isin(run.causes_of(moved["id"].to_numpy(np.int64))["transition_id"])


def attack_rate(run: Run, strain: str | None = None, kind: str = "case") -> Share:
    """The share of initially susceptible agents (all but the index cases) that became a case up to the last step."""
    cases = onsets(run, strain, kind)
    return Share(int((~cases["index"]).sum()), run.size - int(cases["index"].sum()))


def final_size(run: Run, strain: str | None = None, kind: str = "case") -> Share:
    """The share of all agents that ever were a case, index cases included."""
    return Share(len(onsets(run, strain, kind)), run.size)


def compartment_curves(run: Run, strain: str | None = None, kind: str = "case") -> pd.DataFrame:
    """Agents in each compartment (columns) after each step (index; −1 is the state after seeding). Empty where none is logged.

    As logged: a case counts from the step in which it was confirmed, not from its onset.
    """
    table = run.compartments
    chosen = table[(table["strain"] == chosen_strain(run, strain)) & (table["kind"] == checked_kind(kind))]
    curves = chosen.pivot_table(index="step", columns="compartment", values="agents", aggfunc="sum", fill_value=0)
    return curves[sorted(curves.columns, key=_rank)].astype(np.int64)


def _rank(compartment: str) -> tuple[int, str]:
    return (ORDER.index(compartment) if compartment in ORDER else len(ORDER), compartment)


def peak_prevalence(run: Run, strain: str | None = None, kind: str = "case") -> Peak | None:
    """The peak of cases as a share of all agents, index cases included. None where no compartments are logged.

    Cases are in compartment I, and where the observer tells those who shed apart, in H.
    """
    curves = compartment_curves(run, strain, kind)
    if INFECTIOUS not in curves or not curves.to_numpy().sum():
        return None
    cases = [name for name in (CASES if kind == "case" else (INFECTIOUS,)) if name in curves]
    share = curves[cases].sum(axis=1) / curves.sum(axis=1)
    return Peak(float(share.max()), int(share.idxmax()))


def states(
    run: Run, steps: Sequence[int], strain: str | None = None, kind: str = "case", agents: NDArray[np.int64] | None = None
) -> list[NDArray[np.object_]]:
    """The compartment of each of `agents` (n,), by default those of `run.agents`, after each of `steps` (−1: after seeding)."""
    moved = moves(run, strain, kind)
    ids = run.agents["id"] if agents is None else pd.Series(agents)
    moved = moved[moved["agent"].isin(ids)]
    seeded = pd.Series(np.where(ids.isin(index_agents(run, strain)), INFECTIOUS, SUSCEPTIBLE), index=ids, dtype=object)
    found = []
    for step in steps:
        state = seeded.copy()
        last = moved[moved["step"] <= step].drop_duplicates("agent", keep="last")
        state.loc[last["agent"].to_numpy()] = last["target"].to_numpy(dtype=object)
        found.append(state.to_numpy(dtype=object))
    return found
