"""How often the 95% intervals of fitted rates hold the truth, over simulated epidemics: `python benchmarks/coverage_fit.py`.

Each epidemic follows the step law of agents in a world: before each step an agent reads three others, drawn anew, and moves
with probability 1 − exp(−hazard). `--world 20` adds so many whole runs through the product, fitted from their logs.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contagium.envs.rng import Streams
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.fit.course import I, R, S
from contagium.sim.analysis.fit.hazard import compare
from contagium.sim.analysis.fit.likelihood import Form, Likelihood, Rows
from contagium.sim.analysis.fit.search import estimated, maximise

AGENTS, STEPS, READS, INDEX = 150, 20, 3, 8


@dataclass(frozen=True)
class Truth:
    """What an epidemic is simulated with. power 0: a linear response. relapse: from R to I; None: who recovers is susceptible."""

    spontaneous: float
    transmission: float
    recovery: float
    half: float = 0.0
    power: float = 0.0
    valence: float = 0.0
    relapse: float | None = None

    @property
    def form(self) -> Form:
        return Form("hill" if self.power else "linear", modifiers=("valence",) if self.valence else ())


TRUTHS = {
    "simple": Truth(0.01, 0.15, 0.2),
    "simple, rare spontaneous": Truth(0.001, 0.2, 0.3),
    "affect": Truth(0.01, 0.15, 0.2, valence=0.8),
    "complex": Truth(0.03, 1.0, 0.25, half=1.5, power=3.0),
    "relapse": Truth(0.02, 0.3, 0.3, relapse=0.05),
}


def epidemic(truth: Truth, rng: np.random.Generator) -> dict[tuple[int, int], Rows]:
    """The rows of one epidemic, by where agents were and where they may go."""
    state, mood = np.full(AGENTS, S), rng.normal(0, 0.5, AGENTS)
    state[:INDEX] = I
    seen: list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]] = []
    for _ in range(STEPS):
        mood = np.clip(0.7 * mood + rng.normal(0, 0.3, AGENTS), -1, 1)
        others = (np.arange(AGENTS)[:, None] + rng.integers(1, AGENTS, (AGENTS, READS))) % AGENTS
        dose = (state[others] == I).sum(axis=1).astype(float)
        caught = dose**truth.power / (truth.half**truth.power + dose**truth.power) if truth.power else dose
        hazard = truth.spontaneous + truth.transmission * caught * np.exp(truth.valence * mood)
        hazard = np.select([state == S, state == I], [hazard, np.full(AGENTS, truth.recovery)], truth.relapse or 0.0)
        after = np.select([state == S, state == I], [I, S if truth.relapse is None else R], I)
        then = np.where(rng.random(AGENTS) < -np.expm1(-hazard), after, state)
        seen.append((state, dose, mood, then))
        state = then
    before, dose, mood, after = (np.concatenate(column) for column in zip(*seen, strict=True))
    to = S if truth.relapse is None else R
    moves = ((S, I), (I, to), *([(R, I)] if to == R else []))
    return {(origin, target): _rows(before, dose, mood, after, origin, target) for origin, target in moves}


def _rows(
    before: NDArray[np.int64],
    dose: NDArray[np.float64],
    mood: NDArray[np.float64],
    after: NDArray[np.int64],
    origin: int,
    target: int,
) -> Rows:
    at = before == origin
    ones = np.ones(int(at.sum()))
    affect = np.column_stack([mood[at], 0 * ones, 0 * ones])
    event, heard = after[at] == target, dose[at]
    return Rows(event, ones, heard, READS * ones, heard.astype(np.int64), 0 * ones, ones, affect, ones)


def fitted(truth: Truth, rows: dict[tuple[int, int], Rows]) -> Iterator[tuple[str, float, Estimate]]:
    """Each rate: its name, what it is, and what was estimated."""
    form, first = truth.form, rows[S, I]
    first = first.felt if form.modifiers else first.alike
    best, like = maximise(first, form), Likelihood(first, form)
    for name in form.parameters:
        yield name, getattr(truth, name), estimated(like, best.at, name, first.events)
    alone = Form("none")
    for name, move in (("recovery", (I, S if truth.relapse is None else R)), ("relapse", (R, I))):
        if move in rows:
            part = rows[move].alike
            yield (
                name,
                getattr(truth, name),
                estimated(Likelihood(part, alone), maximise(part, alone).at, "spontaneous", part.events),
            )


def study(name: str, epidemics: int, seed: int = 0) -> dict[str, tuple[float, list[Estimate]]]:
    """The estimates of each rate of a truth, with what it is."""
    found: dict[str, tuple[float, list[Estimate]]] = {}
    for k in range(epidemics):
        rows = epidemic(TRUTHS[name], Streams(seed).generator(f"coverage {name}", k))
        for rate, truth, estimate in fitted(TRUTHS[name], rows):
            found.setdefault(rate, (truth, []))[1].append(estimate)
    return found


def holds(truth: float, estimate: Estimate) -> bool:
    """Whether an interval holds the truth; an end that the data do not set is as far as can be."""
    low = -math.inf if estimate.low is None else estimate.low
    return low <= truth <= (math.inf if estimate.high is None else estimate.high)


def verdicts(name: str, epidemics: int, seed: int = 0) -> dict[str, int]:
    """How often each verdict on simple or complex was given."""
    found: dict[str, int] = {}
    for k in range(epidemics):
        rows = epidemic(TRUTHS[name], Streams(seed).generator(f"verdict {name}", k))
        said = compare(rows[S, I]).verdict
        found[said] = found.get(said, 0) + 1
    return found


def world(runs: int) -> dict[str, tuple[float, list[Estimate]]]:
    """The same for whole runs of mechanistic agents, fitted from the latent truth in their logs."""
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf

    from contagium.sim.analysis.fit.model import fit
    from contagium.sim.laboratory import prepare
    from contagium.sim.log import open_run
    from contagium.sim.run import run
    from contagium.sim.scenario import make_scenario

    truth = {"spontaneous": 0.01, "transmission": 0.15, "recovery": 0.2}
    settings = ["agents=mechanistic", "model=sisa", "model.onset_rate=0.01", "model.transmission_rate=0.15", "steps=25"]
    settings += ["model.recovery_rate=0.2", "population.size=200", "observer=lexicon"]
    found: dict[str, tuple[float, list[Estimate]]] = {name: (value, []) for name, value in truth.items()}
    with initialize_config_module("contagium.conf", version_base="1.3"), tempfile.TemporaryDirectory() as place:
        for seed in range(runs):
            composed = compose("config", [*settings, f"seed={seed}"])
            directory = Path(place) / str(seed)
            laboratory = prepare(make_scenario(OmegaConf.to_container(composed, resolve=True)), directory)
            asyncio.run(run(laboratory, "", lambda progress: None, lambda: None))
            with closing(open_run(directory)) as log:
                estimates = fit([log], kind="latent").estimates
            for name, (_, kept) in found.items():
                kept.append(estimates[name])
    return found


def row(name: str, rate: str, truth: float, estimates: list[Estimate]) -> str:
    values = np.array([e.value for e in estimates], dtype=float)
    held = sum(holds(truth, e) for e in estimates)
    error = values.std(ddof=1) / math.sqrt(len(values))
    off = f"{values.mean() - truth:+.2g} ± {error:.1g}"
    return f"| {name} | {rate} | {truth:g} | {np.median(values):.4g} | {off} | {held / len(values):.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epidemics", type=int, default=1000)
    parser.add_argument("--verdicts", type=int, default=200)
    parser.add_argument("--world", type=int, default=0)
    asked, began = parser.parse_args(), time.process_time()
    print("| epidemics | rate | truth | median | mean error | 95% interval holds it |\n| --- | --- | --- | --- | --- | --- |")
    for name in TRUTHS:
        for rate, (truth, estimates) in study(name, asked.epidemics).items():
            print(row(name, rate, truth, estimates), flush=True)
    if asked.world:
        for rate, (truth, estimates) in world(asked.world).items():
            print(row(f"whole runs ({asked.world})", rate, truth, estimates))
    print("\n| epidemics | simple | open | complex | other |\n| --- | --- | --- | --- | --- |")
    for name in ("simple", "simple, rare spontaneous", "complex"):
        said = verdicts(name, asked.verdicts)
        shown = [said.pop(verdict, 0) / asked.verdicts for verdict in ("simple", "open", "complex")]
        print(f"| {name} | {' | '.join(f'{share:.1%}' for share in shown)} | {sum(said.values()) / asked.verdicts:.1%} |")
    print(f"\n{time.process_time() - began:.0f} CPU seconds")


if __name__ == "__main__":
    main()
