"""Prediction from a fitted model: checked on replicates it has not seen, then carried to populations nobody has run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contagium.envs.rng import Streams
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.fit.course import I as CASE
from contagium.sim.analysis.fit.course import states
from contagium.sim.analysis.fit.model import Fitted
from contagium.sim.analysis.fit.world import Curves, Stage, stage, stored
from contagium.sim.analysis.spread.epidemic import chosen_strain, index_agents, last_step
from contagium.sim.analysis.tables import Table, number
from contagium.sim.log import LogError, Run

CHECKS = {"attack": "attack rate", "peak": "peak prevalence", "peak_step": "step of the peak"}
CURVE = "course"
"""What a held-out epidemic is compared by."""

BAND = (0.05, 0.95)
"""The band of 90% that is laid beside a held-out curve."""

FEWEST_DRAWS = 40
"""Draws below which their range is told in place of a 95% interval: each of its ends is to have one draw beyond it."""

LEVEL = 0.05
"""Below it, after Holm's correction over what was compared, a model is said to fail."""

Told = Callable[[str], None]


def unheard(line: str) -> None:
    """Nobody is told how far it is."""


@dataclass(frozen=True)
class Check:
    """A held-out run beside what was predicted of it.

    observed: its curves. low, middle, high: (T,) the band of 90% of the predicted prevalence. inside: share of steps in which the
    observed one lies in it. places: by name of `CHECKS` the share of predictions below what was observed (PIT, ties halved). p:
    by the same a two-sided p, and of the whole curve. predicted: median and 95% interval, or range. draws: how many predictions.
    """

    path: Path
    observed: Curves
    low: NDArray[np.float64]
    middle: NDArray[np.float64]
    high: NDArray[np.float64]
    inside: float
    places: dict[str, float]
    p: dict[str, float]
    predicted: dict[str, Estimate]
    draws: int


@dataclass(frozen=True)
class Prediction:
    """An epidemic among `agents` agents, by `draws` draws: median and 95% of the prevalence (T,), and each of `CHECKS`.

    Of fewer than `FEWEST_DRAWS` draws it is their range in place of the 95%; `span` names it.
    """

    measured: int
    agents: int
    index: int
    low: NDArray[np.float64]
    middle: NDArray[np.float64]
    high: NDArray[np.float64]
    predicted: dict[str, Estimate]
    draws: int


def span(draws: int) -> str:
    """What the interval of so many draws is called."""
    return "95%" if draws >= FEWEST_DRAWS else f"range of {draws} draws" if draws > 1 else "one draw"


def _ends(draws: int) -> tuple[float, float, float]:
    """Quantiles of the lower end, the middle and the upper end of what `span` names."""
    return (0.025, 0.5, 0.975) if draws >= FEWEST_DRAWS else (0.0, 0.5, 1.0)


def observed(run: Run, strain: str | None = None, kind: str = "case") -> Curves:
    """The curves of a run as it was."""
    strain, steps = chosen_strain(run, strain), last_step(run) + 1
    state = states(run, strain, kind, steps) == CASE
    ever = np.logical_or.accumulate(state, axis=0)[1:].sum(axis=1)
    return Curves(run.size, len(index_agents(run, strain)), state[1:].sum(axis=1), ever)


async def check(fitted: Fitted, run: Run, draws: int, strain: str | None = None, tell: Told = unheard) -> Check:
    """Play the world of a held-out run `draws` times, each with other rates that the data leave possible, and compare."""
    there, seed = observed(run, strain, fitted.kind), int(run.meta["seed"])
    with stored(run) as scenario:
        played = await _play(fitted, stage(scenario), len(there.ever), draws, Streams(seed), f"held out {run.path}", tell)
    low, middle, high = np.quantile([one.prevalence for one in played], (BAND[0], 0.5, BAND[1]), axis=0)
    places, p = {}, {}
    for name in CHECKS:
        simulated = np.array([getattr(one, name) for one in played])
        below, level = (simulated < getattr(there, name)).sum(), (simulated == getattr(there, name)).sum()
        places[name] = float((below + level / 2) / draws)
        tail = min(below + level, draws - below)
        p[name] = min(1.0, 2 * float(1 + tail) / (1 + draws))
    p["curve"] = _curve(np.array([one.prevalence for one in [*played, there]], dtype=np.float64))
    inside = float(((there.prevalence >= low) & (there.prevalence <= high)).mean())
    return Check(run.path.parent, there, low, middle, high, inside, places, p, _summed(played), draws)


async def predict(
    fitted: Fitted, run: Run, agents: int, draws: int, steps: int | None = None, tell: Told = unheard
) -> Prediction:
    """The epidemic in a world as that of `run`, of `agents` agents. steps: default as many as that run had."""
    length = last_step(run) + 1 if steps is None else steps
    with stored(run) as scenario:
        world, seed = stage(scenario, agents), int(run.meta["seed"])
        played = await _play(fitted, world, length, draws, Streams(seed), f"{agents:,} agents", tell)
    share = np.array([one.prevalence for one in played]) / agents
    if played[0].index >= agents:
        raise LogError(f"among {agents:,} agents all are index cases: nobody is left to catch it")
    low, middle, high = np.quantile(share, _ends(draws), axis=0)
    return Prediction(fitted.agents, agents, played[0].index, low, middle, high, _summed(played), draws)


async def _play(fitted: Fitted, world: Stage, steps: int, draws: int, streams: Streams, what: str, tell: Told) -> list[Curves]:
    played = []
    for draw, rates in enumerate(fitted.draws(draws, streams)):
        played.append(await world.play(rates, Streams(streams.order("prediction", draw) >> 1), steps))
        tell(f"{what}: {draw + 1} of {draws}")
    return played


def _curve(curves: NDArray[np.float64]) -> float:
    """How often a predicted curve, (R + 1, T) with the observed one last, strays as far from their mean as the observed one does.

    By the largest distance in standard deviations over all steps, each curve against all of them alike, so that p is exact.
    """
    spread = curves.std(axis=0)
    off = np.abs(curves - curves.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    furthest = off.max(axis=1, initial=0.0)
    return float((furthest >= furthest[-1] - 1e-9).mean())


def _summed(played: Sequence[Curves]) -> dict[str, Estimate]:
    found = {}
    for name in CHECKS:
        low, middle, high = np.quantile([getattr(curves, name) for curves in played], _ends(len(played)))
        method = f"median and {span(len(played))} of predicted epidemics"
        one = len(played) == 1
        found[name] = Estimate(float(middle), None if one else float(low), None if one else float(high), method, len(played))
    return found


def failures(checks: Sequence[Check]) -> list[str]:
    """What was predicted wrongly, after Holm's correction (1979) over runs and statistics."""
    ps = sorted((p, f"{CHECKS.get(name, CURVE)} of {one.path.name}") for one in checks for name, p in one.p.items())
    failed = []
    for rank, (p, what) in enumerate(ps):
        if p > LEVEL / (len(ps) - rank):
            break
        failed.append(what)
    return failed


def check_tables(checks: Sequence[Check]) -> Iterator[Table]:
    """Held-out runs beside their predictions."""
    if not checks:
        return
    failed = failures(checks)
    within = np.mean([one.inside for one in checks])
    least = 2 / (1 + min(one.draws for one in checks))
    smallest = LEVEL / ((len(CHECKS) + 1) * len(checks))
    verdict = f"The model fails: it does not predict {', '.join(failed)}." if failed else "The model is not contradicted."
    blunt = f" With so few draws no p is below {least:.2g}, so that it could not fail." if least > smallest else ""
    rows = [
        (
            one.path.name,
            CHECKS[name],
            _told(name, getattr(one.observed, name)),
            _shown(name, one.predicted[name]),
            f"{one.places[name]:.2f}",
            f"{one.p[name]:.2g}",
        )
        for one in checks
        for name in CHECKS
    ] + [(one.path.name, CURVE, "", "", "", f"{one.p['curve']:.2g}") for one in checks]
    yield Table(
        "Prediction of held-out runs",
        f"{verdict}{blunt} Each run beside epidemics of the fitted model in the same world, on the same network and from "
        "the same index cases, with rates drawn from what the data leave open. PIT: share of predictions below what was "
        f"observed; over many runs it should be spread evenly. In {within:.0%} of steps the prevalence lies in the 90% band.",
        ("run", "", "observed", f"predicted ({span(min(one.draws for one in checks))})", "PIT", "p"),
        tuple(rows),
    )


def prediction_table(found: Prediction) -> Table:
    """What to expect of a population of another size."""
    held = "the intervals hold what is uncertain about the rates and chance itself, not"
    if found.draws < FEWEST_DRAWS:
        held = f"for a 95% interval {FEWEST_DRAWS} are needed, and what was drawn does not tell"
    return Table(
        f"Measured in {found.measured:,} agents, predicted for {found.agents:,}",
        f"{found.draws} epidemic{'s' * (found.draws > 1)} in a world of the same kind with {found.index:,} index cases; {held} "
        "whether agents in a crowd of this size behave as in the runs measured.",
        ("", f"predicted ({span(found.draws)})"),
        tuple((words, _shown(name, found.predicted[name])) for name, words in CHECKS.items()),
    )


def _told(name: str, value: float) -> str:
    return f"{value:.0f}" if name == "peak_step" else f"{value:.1%}"


def _shown(name: str, of: Estimate) -> str:
    return number(of, ".0f" if name == "peak_step" else ".1%")
