"""What pressure does to affect: how far it moves those pressed, how fast that passes, and whether it reaches who hears them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contagium.envs.rng import Streams
from contagium.sim.analysis.emotion.panel import PRESSURE, Begin, Floats, Panel
from contagium.sim.analysis.estimate import Estimate, unknown

BEFORE, AFTER = 3, 10
"""Steps before a pressure event that make the baseline, and steps after its beginning that are followed."""

REACH = 3
"""Who hears someone pressed in so many steps from the beginning is a hearer, and spill-over is looked for in so many after it."""

FEWEST_AGENTS = 8
RESAMPLES = 999
METHOD = "event study, bootstrap over agents"
GROUPS = ("pressed", "hearers", "others")


@dataclass(frozen=True)
class Response:
    """What one kind of pressure event did, all its beginnings together.

    steps: (L,) from the event's beginning, negative before. curve, low, high: (L,) change of those pressed against their own
    baseline, less that of agents neither pressed nor hearing them where there are some (`compared`), with its interval; NaN
    where nobody spoke. spill: the same of those not pressed who hear them, None without. peak: the largest change to the side of
    the first `REACH` steps; delay: steps until it, 0 is the step of the event; half_life: steps from then until half of it is
    gone; spill_over: mean change of hearers less others in the `REACH` steps after the event. agents: pressed, hearers, others.
    """

    event: str
    axis: str
    beginnings: int
    agents: tuple[int, int, int]
    compared: bool
    steps: NDArray[np.int64]
    curve: Floats
    low: Floats
    high: Floats
    spill: tuple[Floats, Floats, Floats] | None
    peak: Estimate
    delay: Estimate
    half_life: Estimate
    spill_over: Estimate


def responses(panels: Sequence[Panel]) -> list[Response]:
    """The response to each kind of event, over panels of one measure (one for each run)."""
    events = dict.fromkeys(begin.event for panel in panels for begin in panel.begins)
    return [_response(panels, event) for event in events]


def _response(panels: Sequence[Panel], event: str) -> Response:
    sums, counts = _changes(panels, event)
    beginnings = sum(begin.event == event for panel in panels for begin in panel.begins)
    agents = tuple(int((count[:, BEFORE:].sum(axis=1) > 0).sum()) for count in counts)
    size = (agents[0], agents[1], agents[2])
    steps, axis = np.arange(-BEFORE, AFTER + 1), panels[0].axis
    if size[0] < FEWEST_AGENTS:
        none = unknown(
            f"too few to say: {size[0]} agents pressed with readings before and after, {FEWEST_AGENTS} are needed",
            size[0],
            METHOD,
        )
        nan = np.full(len(steps), np.nan)
        return Response(event, axis, beginnings, size, False, steps, nan, nan, nan, None, none, none, none, none)
    weights = np.vstack([np.ones(len(sums[0])), _draws(len(sums[0]), event)])
    pressed, hearers, others = (_mean(weights, total, count) for total, count in zip(sums, counts, strict=True))
    compared = size[2] >= FEWEST_AGENTS
    curves = pressed - others if compared else pressed
    heard = hearers - others if compared and size[1] >= FEWEST_AGENTS else None
    peak, delay, half_life = _shape(curves, size[0])
    return Response(
        event, axis, beginnings, size, compared, steps, *_band(curves), _band(heard) if heard is not None else None,
        peak, delay, half_life, _spilled(heard, size),
    )  # fmt: skip


def _changes(panels: Sequence[Panel], event: str) -> tuple[list[Floats], list[Floats]]:
    """Sum and number of changes against the baseline by agent and step after the beginning, (n, L), for each of `GROUPS`."""
    totals: list[list[Floats]] = [[], [], []]
    numbers: list[list[Floats]] = [[], [], []]
    for panel in panels:
        length = BEFORE + AFTER + 1
        total, number = np.zeros((3, len(panel.agents), length)), np.zeros((3, len(panel.agents), length))
        for begin in (one for one in panel.begins if one.event == event):
            change = _change(panel, begin)
            for k, group in enumerate(_groups(panel, begin)):
                good = group[:, None] & np.isfinite(change)
                total[k] += np.where(good, change, 0.0)
                number[k] += good
        for k in range(3):
            totals[k].append(total[k])
            numbers[k].append(number[k])
    return [np.concatenate(of) for of in totals], [np.concatenate(of) for of in numbers]


def _change(panel: Panel, begin: Begin) -> Floats:
    """Own affect from `BEFORE` steps before to `AFTER` after, less its mean before, (n, L); NaN once an agent is pressed anew.

    Of whom pressure was already on before there is no baseline.
    """
    size, steps = panel.shape
    window = begin.step + np.arange(-BEFORE, AFTER + 1)
    inside = (window >= 0) & (window < steps)
    found = np.full((size, len(window)), np.nan)
    found[:, inside] = panel.own[:, window[inside]]
    if PRESSURE in panel.moved:
        found[(panel.moved[PRESSURE][:, max(begin.step - BEFORE, 0) : begin.step] > 0).any(axis=1)] = np.nan
    for other in panel.begins:
        if begin.step < other.step <= window[-1]:
            found[other.pressed, other.step - begin.step + BEFORE :] = np.nan
        elif other.step == begin.step and other.event != begin.event:
            found[np.setdiff1d(other.pressed, begin.pressed)] = np.nan
    known = np.isfinite(found[:, :BEFORE])
    with np.errstate(invalid="ignore"):
        baseline = np.where(known, found[:, :BEFORE], 0.0).sum(axis=1) / known.sum(axis=1)
    return found - baseline[:, None]


def _groups(panel: Panel, begin: Begin) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Who was pressed, who was not but heard one of them soon, and all others."""
    pressed = np.zeros(len(panel.agents), dtype=bool)
    pressed[begin.pressed] = True
    first, end = np.searchsorted(panel.at, (begin.step, begin.step + REACH))
    heard = np.zeros(len(panel.agents), dtype=bool)
    heard[panel.hearer[first:end][pressed[panel.source[first:end]]]] = True
    return pressed, heard & ~pressed, ~heard & ~pressed


def _draws(agents: int, event: str) -> Floats:
    rounds = int(np.clip(10_000_000 // agents, 199, RESAMPLES))
    drawn = Streams(0).generator(f"responses {event}").poisson(1.0, size=(rounds, agents))
    return drawn.astype(np.float64)


def _mean(weights: Floats, total: Floats, count: Floats) -> Floats:
    """Mean change in each step, (1 + B, L): of all, and of each resample; NaN where there is nobody."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = (weights @ total) / (weights @ count)
    return mean


def _band(curves: Floats) -> tuple[Floats, Floats, Floats]:
    """The curve (L,) and the interval of each of its steps, from its resamples."""
    known = np.isfinite(curves[0]) & (np.isfinite(curves[1:]).mean(axis=0) > 0.9)
    low, high = np.full(curves.shape[1], np.nan), np.full(curves.shape[1], np.nan)
    if known.any():
        low[known], high[known] = np.nanquantile(curves[1:, known], (0.025, 0.975), axis=0)
    return np.where(known, curves[0], np.nan), low, high


def _shape(curves: Floats, n: int) -> tuple[Estimate, Estimate, Estimate]:
    """Peak, steps until it, and half-life. The interval of the peak is one of the change in that step."""
    curve, low, high = _band(curves)
    after = np.isfinite(curve[BEFORE:])
    if not after.any():
        none = unknown("nobody spoke after the event", n, METHOD)
        return none, none, none
    known = BEFORE + np.flatnonzero(after)
    side = 1.0 if curve[known[:REACH]].sum() >= 0 else -1.0
    at = known[np.argmax(side * curve[known])]
    peak = Estimate(float(curve[at]), float(low[at]), float(high[at]), METHOD, n)
    if low[at] <= 0 <= high[at]:
        none = unknown("no change that could be told from none", n, METHOD)
        return peak, none, none
    ways = side * curves[:, known]
    ways = ways[np.isfinite(ways).all(axis=1)]
    top = ways.argmax(axis=1)
    delay = known[top] - BEFORE
    tail = np.quantile(delay[1:], (0.025, 0.975))
    half = np.array([_half(way, place) for way, place in zip(ways, top, strict=True)])
    return peak, Estimate(float(delay[0]), float(tail[0]), float(tail[1]), METHOD, n), _halved(half, n)


def _half(way: Floats, top: int) -> float:
    """Steps from the top of a curve until half of it is gone, between steps on a straight line; infinite if it never is."""
    left = way[top:] / way[top]
    gone = np.flatnonzero(left <= 0.5)
    if way[top] <= 0 or not len(gone):
        return np.inf
    return float(gone[0] - 1 + (left[gone[0] - 1] - 0.5) / (left[gone[0] - 1] - left[gone[0]]))


def _halved(half: Floats, n: int) -> Estimate:
    never = float(np.isinf(half[1:]).mean())
    if np.isinf(half[0]) or never > 0.025:
        told = f"half of it not gone within {AFTER} steps, or by the next event"
        if np.isinf(half[0]):
            return unknown(told, n, METHOD)
        return unknown(f"about {half[0]:.1f} steps, but in {never:.0%} of resamples {told}", n, METHOD)
    low, high = np.quantile(half[1:], (0.025, 0.975), method="nearest")
    return Estimate(float(half[0]), float(low), float(high), METHOD, n)


def _spilled(heard: Floats | None, size: tuple[int, int, int]) -> Estimate:
    if heard is None:
        which = f"{size[1]} agents not pressed heard one who was, {size[2]} did not"
        return unknown(f"{which}: {FEWEST_AGENTS} each are needed", size[1], METHOD)
    with np.errstate(invalid="ignore"):
        mean = heard[:, BEFORE + 1 : BEFORE + 1 + REACH]
        known = np.isfinite(mean)
        mean = np.where(known, mean, 0.0).sum(axis=1) / known.sum(axis=1)
    if not np.isfinite(mean[0]):
        return unknown("nobody spoke after the event", size[1], METHOD)
    low, high = np.nanquantile(mean[1:], (0.025, 0.975))
    return Estimate(float(mean[0]), float(low), float(high), METHOD, size[1])
