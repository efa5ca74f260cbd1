"""What becomes of a strain on its way: which facets of a persona outlive transmission, and how strong it is by generation.

A message shows a facet from SHOWS on: one phrase of its list. The source's side is the message named as a candidate cause, the
target's side all that it said from its first sign to its confirmation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.envs.rng import Streams
from contagium.sim.analysis.places import places
from contagium.sim.analysis.spread.epidemic import chosen_strain, measure_of
from contagium.sim.analysis.trees.tree import Chains
from contagium.sim.log import Run
from contagium.sim.observer.agreement import Floats, Measured, measure, unmeasured

Integers = NDArray[np.int64]

SHOWS = 0.5
MINIMUM_EACH = 5
"""Fewer targets of sources that showed a facet, or of sources that did not, give no difference."""

CASES = 5_000
"""Cases, the earliest, whose words are looked at."""


@dataclass(frozen=True)
class Survival:
    """One facet: the share of targets that showed it after a source that did (`kept`), after one that did not (`anew`).

    difference: kept less anew: more than 0 means that it is handed on, not only common among cases.
    """

    facet: str
    instrument: str
    kept: float | None
    anew: float | None
    difference: Measured


@dataclass(frozen=True)
class Strength:
    """Reading of the strain in first signs: (generation, cases, mean) of each generation. drift: change from one to the next."""

    instrument: str
    generations: tuple[tuple[int, int, float], ...]
    drift: Measured


@dataclass(frozen=True)
class Mutation:
    facets: tuple[Survival, ...]
    strength: Strength | None
    looked_at: int


def mutation(run: Run, found: Chains, causes: pd.DataFrame, strain: str | None = None) -> Mutation:
    """Facets and strength of the strain along the tree. causes: from `tree.candidates`."""
    cases = found.cases.head(CASES)
    said = _first_signs(run, cases)
    causes = causes[causes["target"].isin(cases["agent"])]
    axis = measure_of(run, chosen_strain(run, strain))
    scores = _scores(run, np.union1d(said["id"], causes["message"].unique()))
    return Mutation(tuple(_facets(scores, axis, said, causes, cases)), _strength(run, scores, axis, said, cases), len(cases))


def survival(
    shown: NDArray[np.bool_],
    showed: NDArray[np.bool_],
    share: Floats,
    target: NDArray[np.int64],
    source: NDArray[np.int64],
    name: str,
) -> Measured:
    """P(a target showed it | its source did) − P(… | its source did not), over candidate messages (m,), with their probabilities.

    shown: by the source's message; showed: by the target. The interval resamples sources, whose targets are alike.
    """
    least = min(len(np.unique(target[shown == side])) for side in (True, False))
    if least < MINIMUM_EACH:
        return unmeasured(f"too few to say: {least} cases on one side, {MINIMUM_EACH} are needed", len(np.unique(target)))

    def difference(weights: Floats) -> Floats:
        rates = []
        for side in (shown, ~shown):
            whole, shows = weights[:, side] @ share[side], weights[:, side] @ (share * showed)[side]
            rates.append(np.divide(shows, whole, out=np.full(len(whole), np.nan), where=whole > 0))
        return rates[0] - rates[1]

    return measure(difference, source, Streams(0), f"survival {name}")


def slope(generation: NDArray[np.int64], value: Floats, cluster: NDArray[np.int64]) -> Measured:
    """Least-squares change of a reading (n,) from one generation to the next; the interval resamples clusters (n,) of cases."""
    x = generation - generation.mean() if len(generation) else generation.astype(np.float64)

    def of(weights: Floats) -> Floats:
        whole = weights.sum(axis=1)
        mean_x, mean_y = weights @ x / whole, weights @ value / whole
        varies = weights @ x**2 / whole - mean_x**2
        above = weights @ (x * value) / whole - mean_x * mean_y
        return np.divide(above, varies, out=np.full(len(whole), np.nan), where=varies > 1e-12)

    return measure(of, cluster, Streams(0), "drift by generation")


def _first_signs(run: Run, cases: pd.DataFrame) -> pd.DataFrame:
    """Messages (id, agent) of each case from its onset to its confirmation; of index cases those of step 0."""
    caught = json.dumps(cases["agent"].tolist())
    rows = run.rows("SELECT id, sender, step FROM message WHERE sender IN (SELECT value FROM json_each(?))", (caught,))
    said = pd.DataFrame.from_records(rows, columns=["id", "agent", "step"]).astype(np.int64)
    row = places(cases["agent"].to_numpy(np.int64), said["agent"].to_numpy())
    first, last = (np.maximum(cases[name].to_numpy(np.int64), 0)[row] for name in ("onset", "confirmed"))
    return said[(said["step"] >= first) & (said["step"] <= last)].drop(columns="step")


def _scores(run: Run, wanted: NDArray[np.int64]) -> pd.DataFrame:
    """All that was read of these messages: id, instrument, column, value."""
    query = (
        "SELECT id, instrument, scores FROM reading WHERE channel = 'message' AND status = 'ok'"
        " AND id IN (SELECT value FROM json_each(?))"
    )
    rows = run.rows(query, (json.dumps(wanted.tolist()),))
    long = [(i, name, column, value) for i, name, scores in rows for column, value in json.loads(scores).items()]
    return pd.DataFrame.from_records(long, columns=["id", "instrument", "column", "value"]).dropna()


def _facets(scores: pd.DataFrame, axis: str, said: pd.DataFrame, causes: pd.DataFrame, cases: pd.DataFrame) -> list[Survival]:
    # The name of a measure may hold a point itself; what stands after "<measure>." is the facet.
    mine = scores[scores["column"].str.startswith(f"{axis}.", na=False)]
    parent = cases.set_index("agent")["parent"]
    told = []
    for (column, instrument), part in mine.groupby(["column", "instrument"], sort=True):
        shows = part.set_index("id")["value"] >= SHOWS
        target = said.assign(shows=said["id"].map(shows)).dropna().groupby("agent")["shows"].any()
        rows = causes.assign(shown=causes["message"].map(shows), showed=causes["target"].map(target)).dropna()
        shown, showed = rows["shown"].to_numpy(bool), rows["showed"].to_numpy(bool)
        share, cluster = rows["probability"].to_numpy(np.float64), rows["target"].map(parent).to_numpy(np.int64)
        kept, anew = (float(np.average(showed[s], weights=share[s])) if share[s].sum() else None for s in (shown, ~shown))
        found = survival(shown, showed, share, rows["target"].to_numpy(np.int64), cluster, str(column))
        told.append(Survival(str(column)[len(axis) + 1 :], str(instrument), kept, anew, found))
    return told


def _strength(run: Run, scores: pd.DataFrame, axis: str, said: pd.DataFrame, cases: pd.DataFrame) -> Strength | None:
    """By the first instrument for the strain that read any first sign; None where there is none."""
    for instrument in run.meta["axis_instruments"].get(axis, ()):
        read = scores[(scores["instrument"] == instrument) & (scores["column"] == axis)].set_index("id")["value"]
        mean = said.assign(value=said["id"].map(read)).dropna().groupby("agent")["value"].mean()
        of = cases.assign(value=cases["agent"].map(mean)).dropna(subset="value")
        if len(of):
            groups = of.groupby("generation")["value"].agg(["size", "mean"])
            rows = tuple((int(g), int(size), float(value)) for g, size, value in groups.itertuples())
            cluster = np.where(of["parent"] >= 0, of["parent"], of["agent"]).astype(np.int64)
            return Strength(
                instrument, rows, slope(of["generation"].to_numpy(np.int64), of["value"].to_numpy(np.float64), cluster)
            )
    return None
