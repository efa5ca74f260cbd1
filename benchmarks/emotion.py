"""How well the analysis of emotional contagion works: coverage, false alarms and power on made panels in which the truth is
known.

python benchmarks/emotion.py                  # everything, as Markdown
python benchmarks/emotion.py alarms --runs 400
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from contagium.agents.mechanistic.affect import Affect, Feeling
from contagium.envs.rng import Streams
from contagium.sim.analysis.emotion import convergence as alike
from contagium.sim.analysis.emotion import transfer as flow
from contagium.sim.analysis.emotion.convergence import convergence
from contagium.sim.analysis.emotion.modifier import modifier
from contagium.sim.analysis.emotion.panel import Panel, usual
from contagium.sim.analysis.emotion.regression import lagged
from contagium.sim.analysis.emotion.transfer import transfer

BURN = 30
"""Steps before the first that is looked at, so that affect has settled."""


@dataclass(frozen=True)
class World:
    """A made panel: agents on a ring hear `degree` neighbours in each step; affect is carried on by φ and moved by β.

    alike: neighbours have like baselines and, of the rule "linear", nothing else in common. shock: a shock that lasts strikes
    all, each as hard as `loads` lets it differ. local: shocks that strike neighbours together. noise: of the instrument. missing:
    share of readings that failed. law: "linear", "mechanistic" (the rules of the mechanistic agents), "threshold" (in a bad mood
    once half of those heard are) or "sisa" (into it by itself or by each heard, and out). scattered: starts far from its
    baseline.
    """

    agents: int = 24
    steps: int = 24
    inertia: float = 0.5
    contagion: float = 0.0
    degree: int = 4
    alike: bool = False
    shock: float = 0.0
    loads: float = 0.0
    local: float = 0.0
    noise: float = 0.0
    missing: float = 0.0
    law: str = "linear"
    scattered: bool = False

    def made(self, seed: int) -> Panel:
        rng = Streams(seed).generator("made affect")
        near = self.near()
        share = near / near.sum(axis=1, keepdims=True)
        base = rng.normal(0, 0.3, self.agents)
        for _ in range(5 if self.alike else 0):
            base = (base + share @ base) / 2
        base *= 0.3 / base.std()
        moves = (
            self._mechanistic if self.law == "mechanistic" else self._moods if self.law in ("threshold", "sisa") else self._linear
        )
        course = moves(rng, share, base)
        own = course[:, course.shape[1] - self.steps :] + self.noise * rng.normal(size=(self.agents, self.steps))
        own = np.where(rng.random(own.shape) < self.missing, np.nan, own)
        return seen(own, near)

    def near(self) -> NDArray[np.float64]:
        """Who hears whom, (n, n)."""
        apart = np.arange(self.agents)[:, None] - np.arange(self.agents)
        apart = np.minimum(apart % self.agents, -apart % self.agents)
        return ((apart > 0) & (apart <= self.degree // 2)).astype(np.float64)

    def _linear(self, rng: np.random.Generator, share: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
        size = self.agents
        weight = 1 + self.loads * rng.normal(size=size)
        x, common = (rng.normal(0, 1.0, size) if self.scattered else base), 0.0
        course = []
        for _ in range(self.steps + (0 if self.scattered else BURN)):
            course.append(x)
            common = 0.7 * common + self.shock * rng.normal()
            struck = self.local * (share @ rng.normal(size=size))
            push = 0.15 * rng.normal(size=size) + struck + weight * common
            x = (1 - self.inertia - self.contagion) * base + self.inertia * x + self.contagion * (share @ x) + push
        return np.array(course).T

    def _mechanistic(
        self, rng: np.random.Generator, share: NDArray[np.float64], base: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        law = Affect(relaxation=1 - self.inertia - self.contagion, contagion=self.contagion)
        rest = np.tile(np.clip(base, -0.5, 0.5)[:, None], (1, 3))
        feeling, one, course = Feeling.at(rest.copy()), np.ones(self.agents), []
        for _ in range(self.steps + BURN):
            course.append(feeling.affect[:, 0])
            push = 0.05 * rng.normal(size=rest.shape)
            feeling = law.step(feeling, rest, share @ feeling.affect, one, push, one)
        return np.array(course).T

    def _moods(self, rng: np.random.Generator, share: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bad mood is −1, else 0; entered by itself at 0.05 a step, left at 0.2; β is the chance for all heard together."""
        bad, course = rng.random(self.agents) < 0.2, []
        for _ in range(self.steps + BURN):
            course.append(-bad.astype(np.float64))
            heard = share @ bad
            pull = self.contagion * (heard >= 0.5 if self.law == "threshold" else heard)
            bad = np.where(bad, rng.random(self.agents) > 0.2, rng.random(self.agents) < 0.05 + pull)
        return np.array(course).T


def seen(own: NDArray[np.float64], near: NDArray[np.float64]) -> Panel:
    """The panel of a log in which everybody hears its neighbours `near` (n, n) in each step."""
    size, steps = own.shape
    known = np.isfinite(own)
    filled = np.where(known, own, usual(own)[:, None])
    heard = np.where(near @ known > 0, near @ filled / near.sum(axis=1, keepdims=True), np.nan)
    hearer, source = np.nonzero(near)
    at = np.repeat(np.arange(steps), len(hearer))
    return Panel("valence", np.arange(size), own, heard, np.tile(hearer, steps), np.tile(source, steps), at)


def taken_up(seed: int, own: float = 0.0, agents: int = 200, steps: int = 30) -> tuple[Panel, pd.DataFrame]:
    """A persona that spreads by dose, feels strongly and passes, among agents whose affect follows what they hear; and their
    turns at risk, with the dose of the step before. own: what a unit of own affect adds to the log-hazard; heard affect: 0.
    """
    rng = Streams(seed).generator("made uptake")
    near = (rng.random((agents, agents)) < 4 / agents) * (1.0 - np.eye(agents))
    share = near / np.maximum(near.sum(axis=1, keepdims=True), 1)
    case, free, x = np.arange(agents) < 4, np.arange(agents) >= 4, 0.1 * rng.normal(size=agents)
    course, heard, rows = [], [], []
    for step in range(1, steps):
        course.append(x)
        heard.append(np.where(near.any(axis=1), share @ x, np.nan))
        dose = 0.5 * (near @ case)
        event = free & (rng.random(agents) < 1 - np.exp(-0.5 * dose * np.exp(own * x)))
        rows.append(pd.DataFrame({"step": step, "agent": np.flatnonzero(free), "event": event[free], "dose": dose[free]}))
        case, free = (case & (rng.random(agents) > 0.3)) | event, free & ~event
        x = x + 0.2 * (0.6 * case - x) + 0.3 * (share @ x - x) + 0.1 * rng.normal(size=agents)
    course, heard = [*course, x], [*heard, share @ x]
    risk = pd.concat(rows, ignore_index=True)
    return Panel("valence", np.arange(agents), np.array(course).T, np.array(heard).T), risk


NULL = {
    "nothing but noise": World(),
    "strongly carried on, φ = 0.8": World(inertia=0.8),
    "homophily: neighbours alike": World(alike=True),
    "common shock": World(shock=0.1),
    "common shock, felt unequally, and homophily": World(shock=0.1, loads=0.5, alike=True),
    "noise of the instrument, 10% failed": World(noise=0.1, missing=0.1),
    "12 agents, 12 steps": World(agents=12, steps=12),
    "100 agents, 50 steps": World(agents=100, steps=50),
    "shocks shared by neighbours": World(local=0.24),
}


def coverage(runs: int) -> Iterator[str]:
    """Slopes: bias, and how often the 95% interval holds the truth."""
    yield "| panel | φ, β | mean φ | holds φ | mean β | holds β |"
    yield "| --- | --- | --- | --- | --- | --- |"
    worlds = [
        World(agents=12, steps=12, inertia=0.4, contagion=0.2),
        World(inertia=0.5),
        World(inertia=0.8),
        World(inertia=0.4, contagion=0.2),
        World(inertia=0.4, contagion=0.3, alike=True, shock=0.1),
        World(inertia=0.4, contagion=0.2, missing=0.1),
        World(agents=100, steps=50, inertia=0.4, contagion=0.2),
        World(inertia=0.5, contagion=0.3, law="mechanistic"),
    ]
    for world in worlds:
        found = [lagged([world.made(seed)]) for seed in range(runs)]
        told = [of for of in found if of.contagion.value is not None]
        carried, taken = (
            np.array([[getattr(of, n).value, getattr(of, n).low, getattr(of, n).high] for of in told]) for n in NAMES
        )
        holds = [
            ((c[:, 1] <= truth) & (truth <= c[:, 2])).mean() for c, truth in ((carried, world.inertia), (taken, world.contagion))
        ]
        means = carried[:, 0].mean(), taken[:, 0].mean()
        told_of = f"{world.agents} agents, {world.steps} steps{described(world)} | {world.inertia}, {world.contagion}"
        yield f"| {told_of} | {means[0]:.3f} | {holds[0]:.1%} | {means[1]:.3f} | {holds[1]:.1%} |"


NAMES = ("inertia", "contagion")


def described(world: World) -> str:
    more = [name for name, on in (("homophily", world.alike), ("shock", world.shock), ("10% missing", world.missing)) if on]
    return "".join(f", {name}" for name in [*more, *([world.law] if world.law != "linear" else [])])


def alarms(runs: int) -> Iterator[str]:
    """No contagion at all: how often each test says so at 5%; the placebo should alarm in the last line alone."""
    yield "| 24 agents, 24 steps | contagion | below − above | grow alike | transfer entropy | correlation | placebo |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, world in NULL.items():
        found = np.array([rejected(world.made(seed)) for seed in range(runs)])
        yield f"| {name} | " + " | ".join(share(int(column.sum()), runs) for column in found.T) + " |"


def rejected(panel: Panel) -> list[bool]:
    """Whether each test rejects at 5%."""
    slopes, alike, flows = lagged([panel]), convergence([panel]), transfer([panel])
    told = [
        of.value is not None and of.low is not None and of.high is not None and not of.low <= 0 <= of.high
        for of in (slopes.contagion, slopes.asymmetry, slopes.placebo)
    ]
    p = [of is not None and of <= 0.05 for of in (alike.p, flows.entropy.p, flows.correlation.p)]
    return [told[0], told[1], *p, told[2]]


def power(runs: int) -> Iterator[str]:
    """Contagion there is: how often the slope's interval lies above 0, and the other tests reject."""
    yield "| agents, steps, 4 heard | law, β | slope | transfer entropy | correlation |"
    yield "| --- | --- | --- | --- | --- |"
    worlds = [World(agents=a, steps=t, inertia=0.4, contagion=b) for a, t in SIZES for b in (0.1, 0.2, 0.4)]
    worlds += [replace(World(contagion=0.4, law=law), agents=a, steps=t) for law in ("threshold", "sisa") for a, t in SIZES[1:3]]
    for world in worlds:
        found = np.array([rejected(world.made(seed))[:5] for seed in range(runs)]).mean(axis=0)
        of = f"{world.agents}, {world.steps} | {world.law}, {world.contagion}"
        yield f"| {of} | {found[0]:.0%} | {found[3]:.0%} | {found[4]:.0%} |"
    yield "\n| agents, steps, runs: scattered at the start, φ 0.9, β 0.1 | grow alike |"
    yield "| --- | --- |"
    for agents, number in ((24, 1), (24, 10), (100, 1), (100, 5)):
        world = World(agents=agents, steps=12, contagion=0.1, inertia=0.9, scattered=True)
        found = [convergence([world.made(number * seed + k) for k in range(number)]) for seed in range(runs)]
        told = [of.p is not None and of.p <= 0.05 and of.change.high is not None and of.change.high < 0 for of in found]
        yield f"| {agents}, 12, {number} | {np.mean(told):.0%} |"


SIZES = ((12, 12), (24, 24), (48, 48), (100, 50))


def uptake(runs: int) -> Iterator[str]:
    """Does affect change uptake: how often the 95% intervals hold the truth; affect heard never has an effect of its own."""
    yield "| a unit of own affect adds to the log-hazard | holds dose | holds own | holds product | holds heard |"
    yield "| --- | --- | --- | --- | --- |"
    for own in (0.0, -1.0):
        held = np.array([kept_up(seed, own) for seed in range(runs)])
        yield f"| {own:g} | " + " | ".join(share(int(column.sum()), runs) for column in held.T) + " |"


def kept_up(seed: int, own: float) -> list[bool]:
    """Whether the intervals of dose, own affect, their product and affect heard hold the truth."""
    panel, risk = taken_up(seed, own)
    found = modifier([panel], [risk])
    after = risk[risk["dose"] > 0]
    before = panel.own[after["agent"], after["step"] - 1]
    truths = (np.e, float(np.exp(own * before.std(ddof=1))), 1.0, 1.0)
    told = zip((found.dose, found.own, found.both, found.heard), truths, strict=True)
    return [e.low is not None and e.high is not None and e.low <= truth <= e.high for e, truth in told]


def cost(runs: int) -> Iterator[str]:
    """CPU seconds of slopes, convergence and transfer."""
    yield "| agents, steps | messages | CPU seconds |"
    yield "| --- | --- | --- |"
    for agents, steps in ((12, 12), (100, 50), (2_000, 50)):
        panel = World(agents=agents, steps=steps, contagion=0.2, inertia=0.4).made(0)
        start = time.process_time()
        rejected(panel)
        yield f"| {agents:,}, {steps} | {agents * steps:,} | {time.process_time() - start:.2f} |"


def share(count: int, of: int) -> str:
    low, high = binomtest(count, of).proportion_ci(method="wilson")
    return f"{count / of:.1%} ({low:.1%} to {high:.1%})"


PARTS = {"coverage": (coverage, 400), "alarms": (alarms, 400), "power": (power, 100), "uptake": (uptake, 400), "cost": (cost, 1)}


def main() -> None:
    # Enough to tell 5% by, in a third of the time.
    alike.RELABELLINGS, flow.SURROGATES = 199, 99
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="by default all of them")
    parser.add_argument("--runs", type=int, help="made panels for each line")
    chosen = parser.parse_args()
    for name in chosen.parts or PARTS:
        part, runs = PARTS[name]
        print(f"\n## {(part.__doc__ or '').strip()}\n")
        for line in part(chosen.runs or runs):
            print(line, flush=True)


if __name__ == "__main__":
    main()
