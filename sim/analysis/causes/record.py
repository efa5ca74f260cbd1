"""The evidence of a run's log."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contagium.sim.analysis.causes.evidence import Bools, Evidence, Floats, codes, thinned
from contagium.sim.analysis.spread.epidemic import last_step, onsets
from contagium.sim.analysis.spread.risk import NEVER, at_risk, cause_window, hearing
from contagium.sim.reading import Run


def evidence(run: Run, strain: str, kind: str = "case") -> Evidence:
    """What the log says of the agents logged in detail and of those they heard."""
    rows, heard, steps = at_risk(run, strain, kind), hearing(run, strain), max(1, last_step(run) + 1)
    detailed = run.agents.loc[run.agents["detailed"] == 1, "id"].to_numpy(np.int64)
    ids = np.unique(np.concatenate([detailed, heard.agent, heard.source]))
    hearer, source = np.searchsorted(ids, heard.agent), np.searchsorted(ids, heard.source)
    cases = onsets(run, strain, kind)
    cases = cases[cases["agent"].isin(ids)]
    onset = np.full(len(ids), NEVER)
    onset[np.searchsorted(ids, cases["agent"])] = cases["onset"]
    at, agent = rows["step"].to_numpy(np.int64), np.searchsorted(ids, rows["agent"])
    window = cause_window(run, strain)
    pressed = _pressed(run, ids, steps)
    about = run.agents.set_index("id").reindex(ids)
    pair = source * len(ids) + hearer
    edges = run.edges[run.edges["source"].isin(ids) & run.edges["target"].isin(ids)]
    given = np.sort(np.searchsorted(ids, edges["source"]) * len(ids) + np.searchsorted(ids, edges["target"]))
    # Here many times faster than NumPy's own isin.
    tied = (
        given[np.minimum(np.searchsorted(given, pair), len(given) - 1)] == pair if len(given) else np.zeros(len(pair), dtype=bool)
    )
    board = len(edges) > 0 and run.meta.get("scenario", {}).get("env", {}).get("board_reads", 0) > 0
    fixed = bool(board or (len(edges) > 0 and tied.all()))
    drawn, eligible = _seeding(run, strain, about)
    return thinned(
        Evidence(
            steps=steps,
            window=window,
            onset=onset,
            at=at,
            agent=agent,
            event=rows["event"].to_numpy(bool),
            inbox=rows["heard"].to_numpy(np.int64),
            step=heard.step,
            hearer=hearer,
            source=source,
            dose=np.nan_to_num(heard.weight * heard.dose),
            chance=~tied if board else np.zeros(len(pair), dtype=bool),
            ties=np.stack(np.divmod(np.unique(given if fixed else pair), max(1, len(ids)))),
            apart=codes(about["group"].fillna("").to_numpy(str), pressed.any(axis=0)),
            pressed=_lately(pressed, window)[at, agent],
            traits=_traits(run, ids, about),
            drawn=drawn,
            eligible=eligible,
            fixed=fixed,
            unread=rows["unread"].to_numpy(np.int64),
        )
    )


def _pressed(run: Run, ids: np.ndarray, steps: int) -> Bools:
    """Whether pressure was on some agents, this one among them, and not on all; (T, n)."""
    found = np.zeros((steps, len(ids)), dtype=bool)
    rows = run.table("pressure")
    for step, agents in rows.loc[(rows["agents"] != "all") & (rows["agents"] != ""), ["step", "agents"]].itertuples(index=False):
        if 0 <= step < steps:
            found[step] |= np.isin(ids, np.array(str(agents).split(","), dtype=np.int64))
    return found


def _lately(pressed: Bools, window: int) -> Bools:
    """Whether it was on in the step or in the `window` steps before."""
    total = np.vstack([np.zeros((1, pressed.shape[1]), dtype=np.int64), np.cumsum(pressed, axis=0)])
    at = np.arange(len(pressed))
    return total[at + 1] > total[np.maximum(at - window, 0)]


def _seeding(run: Run, strain: str, about: pd.DataFrame) -> tuple[str, Bools]:
    """Why the index cases were not drawn at random from these agents (empty: they were), and who could have been."""
    rule = run.meta.get("scenario", {}).get("seeding", {})
    eligible = about["strain"].isna().to_numpy() | (about["strain"] == strain).to_numpy()
    if run.sample is not None:
        return "only a sample of the agents is logged in detail, the index cases first", eligible
    if rule.get("agents") is not None:
        return "the index cases were named", eligible
    if rule.get("method") != "random":
        return "the index cases were not drawn at random", eligible
    return "", eligible


def _traits(run: Run, ids: np.ndarray, about: pd.DataFrame) -> dict[str, Floats]:
    """What is known of agents from before they heard anything: their given traits, and what they showed in the first step."""
    found = {name: about[name].to_numpy(np.float64) for name in ("susceptibility", "expressiveness")}
    for axis, instruments in run.meta.get("axis_instruments", {}).items():
        value = np.full(len(ids), np.nan)
        for instrument in reversed(instruments):
            first = run.read(instrument, axis)
            first = first[first["step"] == 0].dropna(subset=["value"])
            first = first[first["agent"].isin(ids)]
            value[np.searchsorted(ids, first["agent"])] = first["value"]
        index = ~about["strain"].isna().to_numpy()
        value[index] = np.nan  # who was seeded shows the seeding
        found[f"{axis} in the first step"] = value
    return {name: value for name, value in found.items() if len(np.unique(value[~np.isnan(value)])) > 1}
