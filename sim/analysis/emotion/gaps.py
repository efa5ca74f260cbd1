"""Said, felt and done over a run: mean gaps between channels, with intervals that know that an agent speaks many times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.envs.rng import Streams
from contagium.sim.observer.gap import GAP, INTENSITY
from contagium.sim.reading import Run

RESAMPLES = 2000
FEWEST_AGENTS, FEWEST_ROWS = 5, 20
"""Agents and readings under which no interval is given: a bootstrap over fewer agents is much too narrow."""

COLUMNS = [
    *("axis", "shown", "felt", "one_ruler", "n", "agents", "failed"),
    *("mean", "low", "high", "intensity", "intensity_low", "intensity_high", "suppressed", "play_acted"),
]


def gap_table(readings: pd.DataFrame) -> pd.DataFrame:
    """Gaps of a run by axis and pair of channels, from `Run.readings`.

    Columns: axis; shown, felt: the more open channel and the other; one_ruler: whether an instrument reads both, so that what
    differs is not the rulers: of other pairs compare runs, and take no level for a finding; n readings of so many agents;
    failed: of the agents' steps read on both channels, the share without a gap because a reading failed; mean of shown − felt,
    and intensity, the mean of |shown| − |felt|, each with a 95% interval (low, high; NaN with fewer than 5 agents or 20
    readings); suppressed, play_acted: the shares of readings with |shown| below, above |felt|.

    Intervals: percentiles of 2,000 resamples of whole agents (Davison & Hinkley 1997, §3.8); with few agents they are somewhat
    too narrow. Agents who hear each other are not independent, which only repeats with other seeds make good.
    """
    found = readings[(readings["channel"] == GAP) & (readings["status"] == "ok")]
    rows = []
    for column, of in found[~found["column"].str.endswith(INTENSITY)].groupby("column", sort=False):
        strength = found[found["column"] == f"{column}{INTENSITY}"]
        axis, shown, felt = _parts(str(column), readings)
        agent, value, intensity = (part.to_numpy() for part in (of["agent"], of["value"], strength["value"]))
        interval, of_intensity = _interval(agent, value), _interval(agent, intensity)
        failed = 1 - len(value) / max(_attempted(readings, axis, shown, felt), 1)
        shares = (intensity < 0).mean(), (intensity > 0).mean()
        numbers = (value.mean(), *interval, intensity.mean(), *of_intensity, *shares)
        rulers = [set(readings.loc[_on(readings, axis, channel), "instrument"]) for channel in (shown, felt)]
        rows.append((axis, shown, felt, bool(rulers[0] & rulers[1]), len(value), len(np.unique(agent)), failed, *numbers))
    return pd.DataFrame(rows, columns=COLUMNS)


def gap_rows(run: Run) -> list[tuple[str, str]]:
    """A line of the report for each axis and pair of channels, and what was found in words; none where no two were read."""
    if not run.rows("SELECT 1 FROM reading WHERE channel = ? LIMIT 1", (GAP,)):
        return []
    table = gap_table(run.readings)
    told = table[table["low"].notna()]
    rows = [(f"{of['axis']}: {of['shown']} − {of['felt']}", _told(of)) for of in told.to_dict("records")]
    little = len(table) - len(told)
    too_little = f"{little}, of fewer than {FEWEST_AGENTS} agents or {FEWEST_ROWS} readings"
    return [*rows, *([("Pairs that tell too little", too_little)] if little else [])]


def _told(of: Mapping[str, Any]) -> str:
    mean = f"{of['mean']:+.2f} (95% interval {of['low']:+.2f} to {of['high']:+.2f}"
    mean += f"; {of['n']} readings of {of['agents']} agents, {of['failed']:.0%} failed)"
    if not of["one_ruler"]:
        return f"{mean}; by two rulers: compare it between runs"
    strength = f"{of['intensity']:+.2f} ({of['intensity_low']:+.2f} to {of['intensity_high']:+.2f})"
    shares = f"suppressed in {of['suppressed']:.0%}, play-acted in {of['play_acted']:.0%}"
    return f"{mean}; stronger by {strength}: {shares}"


def _parts(column: str, readings: pd.DataFrame) -> tuple[str, str, str]:
    """Axis and both channels of a gap's column; names may hold dots and hyphens, so they are looked for among those there are."""
    channels = set(readings["channel"])
    for axis in set(readings["column"]):
        rest = column.removeprefix(f"{axis}.")
        for shown in channels if rest != column else ():
            felt = rest.removeprefix(f"{shown}-")
            if felt != rest and felt in channels:
                return str(axis), str(shown), str(felt)
    raise ValueError(f"no gap is called {column!r}")


def _attempted(readings: pd.DataFrame, axis: str, shown: str, felt: str) -> int:
    """Steps of agents with a row of the axis on both channels, whether good or failed."""
    keys = [set(map(tuple, readings.loc[_on(readings, axis, c), ["step", "agent"]].to_numpy().tolist())) for c in (shown, felt)]
    return len(keys[0] & keys[1])


def _on(readings: pd.DataFrame, axis: str, channel: str) -> pd.Series:
    return (readings["column"] == axis) & (readings["channel"] == channel)


def _interval(agent: NDArray[np.int64], value: NDArray[np.float64]) -> tuple[float, float]:
    """Of a mean over readings (n,), resampling whole agents."""
    ids, which = np.unique(agent, return_inverse=True)
    if len(ids) < FEWEST_AGENTS or len(value) < FEWEST_ROWS:
        return float("nan"), float("nan")
    total, count = np.bincount(which, value), np.bincount(which)
    rng = Streams(0).generator("gap intervals")
    drawn = rng.multinomial(len(ids), np.full(len(ids), 1 / len(ids)), size=RESAMPLES)
    low, high = np.quantile((drawn @ total) / (drawn @ count), [0.025, 0.975])
    return float(low), float(high)
