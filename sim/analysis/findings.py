"""All that the outputs of one run share, computed once, so that no table and no figure can disagree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.agents.policy import name_of
from contagium.envs.message import AFFECT, SHOWN
from contagium.sim.analysis.emotion.affect import affect_curves
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.failures import Failures, failures
from contagium.sim.analysis.figures.layout import (
    Event,
    NetworkLayout,
    TreeLayout,
    affect_range,
    event_layout,
    network_layout,
    tree_layout,
)
from contagium.sim.analysis.spread.adoption import Scores, adoptions, persona_scores
from contagium.sim.analysis.spread.epidemic import (
    Peak,
    Share,
    attack_rate,
    chosen_strain,
    compartment_curves,
    final_size,
    last_step,
    measure_of,
    peak_prevalence,
    states,
)
from contagium.sim.analysis.trees.reproduction import estimate
from contagium.sim.analysis.trees.tree import Chains, chains
from contagium.sim.log import Run
from contagium.sim.observer.observer import STATED

SCORE_ROWS = 60
"""Agents in the heat map of who said what."""


class Names(dict[int, str]):
    """Agent → name. Who is not in the log of a large population is called as this program calls its agents."""

    def __missing__(self, agent: int) -> str:
        return name_of(agent)


@dataclass(frozen=True)
class Spread:
    """How far one strain got: attack rate, final size (whose count holds the index cases too), peak, reproduction number."""

    attack: Share
    size: Share
    peak: Peak | None
    r0: Estimate

    @property
    def index(self) -> int:
        """Agents that were seeded with it."""
        return self.size.count - self.attack.count


@dataclass(frozen=True)
class Findings:
    """What one run shows of its first strain, by the observer's case definition. steps: how many were done. strains: how far each
    got, this one among them. state_of: the measure it is read off, where it is an emotional state and no persona.

    explained: mean share of a case's cause that candidate sources account for, None without cases. scores: of at most
    SCORE_ROWS agents. shown: the steps (start, middle, end) of `states`, each (n,) compartments of the agents of `network`.
    names: agent → name. instruments: axis → those whose readings count in this run. thresholds: instrument → the reading from
    which a message shows the strain. measures: curves like those of `affect`, of all else that is measured for each step,
    opinions among it. affect_limits: of the axis that shows `affect`. events: those of pressure that began for anyone.
    detailed: agents of whom messages, exposures and readings are in the log, out of all.
    """

    strain: str
    state_of: str | None
    strains: dict[str, Spread]
    steps: int
    curves: pd.DataFrame
    affect: dict[str, pd.DataFrame]
    measures: dict[str, pd.DataFrame]
    chains: Chains
    explained: float | None
    adoption: pd.DataFrame
    scores: Scores
    network: NetworkLayout
    tree: TreeLayout
    shown: tuple[int, ...]
    states: list[NDArray[np.object_]]
    names: dict[int, str]
    instruments: dict[str, list[str]]
    thresholds: dict[str, float]
    affect_limits: tuple[float, float]
    events: list[Event]
    failures: Failures
    detailed: Share

    @property
    def spread(self) -> Spread:
        """How far the strain got that all else is about."""
        return self.strains[self.strain]

    @property
    def sample(self) -> str:
        """Of whom all comes that is not known of everybody, in words; empty where everybody is logged in detail."""
        count, of = self.detailed.count, self.detailed.of
        return "" if count == of else f"a sample of {count:,} of {of:,} agents"


def find(run: Run, strain: str | None = None) -> Findings:
    """Everything the summary, the figures and the report say of a run, whether it finished or not."""
    strain, last = chosen_strain(run, strain), last_step(run)
    rivals = {name: _spread(run, name, chains(run, name), last) for name in run.meta["strains"] if name != strain}
    found = chains(run, strain)
    spread = rivals | {strain: _spread(run, strain, found, last)}
    index = found.cases.loc[found.cases["index"], "agent"].to_numpy(np.int64)
    caught = found.cases[~found.cases["index"]]
    network = network_layout(run, index, seed=int(run.meta["seed"]))
    shown = tuple(dict.fromkeys((-1, (last - 1) // 2, last))) if last >= 0 else (-1,)
    counted, means, measure = instruments(run), affect_curves(run), measure_of(run, strain)
    affect = {axis: curve for axis, curve in means.items() if axis in AFFECT}
    return Findings(
        strain=strain,
        state_of=measure if measure != strain else None,
        strains={name: spread[name] for name in run.meta["strains"]},
        steps=last + 1,
        curves=compartment_curves(run, strain),
        affect=affect,
        measures={name: curve for name, curve in means.items() if name not in AFFECT},
        chains=found,
        explained=float(caught["explained"].mean()) if len(caught) else None,
        adoption=adoptions(run, strain),
        scores=persona_scores(run, strain, limit=SCORE_ROWS),
        network=network,
        tree=tree_layout(found),
        shown=shown,
        states=states(run, shown, strain, agents=network.agents),
        names=Names(zip(run.agents["id"].tolist(), run.agents["name"].tolist(), strict=True)),
        instruments=counted,
        thresholds=_thresholds(run, strain, counted.get(strain, [])),
        affect_limits=affect_range(affect),
        events=event_layout(_begins(run), last + 1),
        failures=failures(run),
        detailed=Share(int((run.agents["detailed"] == 1).sum()), run.size),
    )


def _spread(run: Run, strain: str, found: Chains, last: int) -> Spread:
    parts = attack_rate(run, strain), final_size(run, strain), peak_prevalence(run, strain)
    return Spread(*parts, estimate(found, last))


def instruments(run: Run) -> dict[str, list[str]]:
    """Axis → the instruments whose readings count for a message of this run, best first, as far as logged in detail.

    All that are chosen for the axis, where a group of agents has no reading on it in the log.
    """
    group = run.agents.set_index("id")["group"]
    found = {}
    for axis, chosen in run.meta["axis_instruments"].items():
        read = [run.read(name, axis).assign(instrument=name) for name in chosen]
        mine = pd.concat(read) if read else pd.DataFrame(columns=["id", "agent", "value", "instrument"])
        first = mine[mine["value"].notna()].drop_duplicates("id")
        complete = group.nunique() == first["agent"].map(group).nunique()
        found[axis] = [name for name in chosen if not complete or (first["instrument"] == name).any()]
    return found


def _thresholds(run: Run, strain: str, used: list[str]) -> dict[str, float]:
    """Instrument → case threshold, of those in use: outright expressions count from 0.5."""
    rule = run.meta.get("detection", {}).get(strain)
    known = {STATED: SHOWN} | ({rule["instrument"]: float(rule["enter"])} if rule else {})
    return {name: known[name] for name in used if name in known}


def _begins(run: Run) -> dict[str, list[int]]:
    rows = run.table("pressure")
    rows = rows[rows["begins"] > 0]
    return {str(event): sorted(set(part["step"].tolist())) for event, part in rows.groupby("event", sort=False)}
