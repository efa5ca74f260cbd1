"""How often the tests of contagion call it where there is none, and where there is, in made worlds in which the truth is known.

python benchmarks/contagion_tests.py                     # everything, as Markdown
python benchmarks/contagion_tests.py alarms --worlds 400
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib
import networkx as nx
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import binomtest

from contagium.envs.rng import Streams
from contagium.sim.analysis.causes.contagion import LEVEL, examined, headline, judged
from contagium.sim.analysis.causes.evidence import Evidence, thinned
from contagium.sim.analysis.causes.permutation import Finding, heard_by_chance, heard_more
from contagium.sim.analysis.causes.placebo import other_networks
from contagium.sim.analysis.causes.randomisation import influence, near_the_seeds
from contagium.sim.analysis.causes.timing import closer_in_time
from contagium.sim.analysis.figures.style import COLOURS, STYLE
from contagium.sim.analysis.spread.risk import NEVER

WINDOW = 3

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "contagion_power.png"


@dataclass(frozen=True)
class World:
    """A made world. Agents become cases of themselves with chance `rate` a step, and each message that shows the strain passes it
    on with chance `passes`; from the next step on a case shows it in a share `says` of its messages, for `lasts` steps.

    ties: "small world" (4 neighbours, 10% rewired) or "blocks" (5 neighbours, nine of ten with the same trait). prone: of this
    share of the agents the rate is higher by the factor `likeness`; which ones: in "blocks" those with the trait, otherwise
    along a "field", a trait smoothed over ties, or an "arc", one stretch of the ring. shock: factor on the rate in three steps,
    of everybody or of the prone alone (`shocked`). known: whether the log tells the prone apart as a group. wrong: cases follow
    one network, the log another. directed: each agent hears half of its neighbours. board: messages of others, drawn at random,
    that each hears besides.
    """

    agents: int = 48
    steps: int = 30
    index: int = 3
    ties: str = "small world"
    rate: float = 0.003
    passes: float = 0.0
    says: float = 0.7
    lasts: int = 1000
    prone: float = 0.3
    likeness: float = 1.0
    along: str = "field"
    shock: float = 1.0
    shocked: str = "everybody"
    known: bool = False
    wrong: bool = False
    directed: bool = False
    board: int = 0

    def made(self, seed: int) -> Evidence:
        """What its log would hold."""
        rng = Streams(seed).generator("made world")
        hears, trait = self._ties(rng)
        onset = np.full(self.agents, NEVER)
        onset[rng.choice(self.agents, self.index, replace=False)] = -1
        shows = np.zeros((self.steps, self.agents))
        board = rng.integers(1, self.agents, (self.steps, self.board, self.agents)) + np.arange(self.agents)
        board %= self.agents
        for step in range(self.steps):
            rate = self.rate * np.where(trait, self.likeness, 1.0)
            if 10 <= step < 13:
                rate = np.where(trait | (self.shocked == "everybody"), rate * self.shock, rate)
            heard = hears @ shows[step - 1] + shows[step - 1][board[step - 1]].sum(axis=0) if step else np.zeros(self.agents)
            falls = 1 - (1 - np.minimum(rate, 1)) * (1 - self.passes) ** heard
            onset[(onset > step) & (rng.random(self.agents) < falls)] = step
            shows[step] = (onset <= step) & (step - onset < self.lasts) & (rng.random(self.agents) < self.says)
        if self.wrong:
            order = rng.permutation(self.agents)
            hears = hears[order][:, order]
        return self._logged(hears, trait, onset, shows, board)

    def _ties(self, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Who hears whom (hearer, source), and who is prone."""
        n, few = self.agents, round(self.prone * self.agents)
        if self.ties == "blocks":
            trait = rng.permutation(n) < few
            chance = np.where(trait[:, None] == trait, 0.9, 0.1)
            pairs = np.triu(rng.random((n, n)) < 5 * chance / chance.sum(axis=1).mean(), 1)
            return (pairs | pairs.T).astype(float), trait
        graph = nx.watts_strogatz_graph(n, 4, 0.1, seed=int(rng.integers(2**31)))
        hears = nx.to_numpy_array(graph, nodelist=range(n))
        value = rng.standard_normal(n)
        for _ in range(2):
            value = (value + hears @ value / hears.sum(axis=1)) / 2
        if self.along == "arc":
            value = -((np.arange(n) - rng.integers(n)) % n).astype(float)
        if self.directed:
            hears *= rng.random((n, n)) < 0.5
        return hears, value >= np.sort(value)[-few]

    def _logged(
        self,
        hears: NDArray[np.float64],
        trait: NDArray[np.bool_],
        onset: NDArray[np.int64],
        shows: NDArray[np.float64],
        board: NDArray[np.int64],
    ) -> Evidence:
        source, hearer = np.nonzero(hears.T)
        drawn, reader = board.reshape(self.steps, -1), np.tile(np.arange(self.agents), self.board)
        by_tie = np.tile(np.arange(len(source) + len(reader)) < len(source), self.steps)
        sources, hearers = np.column_stack([np.tile(source, (self.steps, 1)), drawn]), np.r_[hearer, reader]
        step = np.repeat(np.arange(self.steps), len(hearers))
        at, agent = np.nonzero(np.arange(self.steps)[:, None] <= onset)
        return Evidence(
            steps=self.steps,
            window=WINDOW,
            onset=onset,
            at=at,
            agent=agent,
            event=onset[agent] == at,
            inbox=np.minimum(at, WINDOW) * (hears.sum(axis=1).astype(np.int64)[agent] + self.board),
            step=step,
            hearer=np.tile(hearers, self.steps),
            source=sources.ravel(),
            dose=shows[step, sources.ravel()],
            chance=~by_tie & (hears[np.tile(hearers, self.steps), sources.ravel()] == 0),
            ties=np.stack([source, hearer]),
            apart=trait.astype(np.int64) * self.known,
            pressed=np.zeros(len(at), dtype=bool),
            traits={"the trait": trait.astype(float)},
            drawn="",
            eligible=np.ones(self.agents, dtype=bool),
        )


HARD = {
    "likeness: smooth, 60 times, 192 agents": World(likeness=60, agents=192),
    "a shock to a smooth trait, unknown to the log, 20 times, 192 agents": World(
        rate=0.01, shock=20, shocked="group", agents=192
    ),
}
"""Worlds without contagion too hard for the tests: a likeness within circles that is very strong or changes in time."""

NOTHING = {
    "chance alone": World(rate=0.02),
    "likeness: a trait that ties follow, 20 times the rate": World(ties="blocks", likeness=20),
    "likeness: the same, 40 times": World(ties="blocks", likeness=40),
    "likeness: a trait smooth over the network, 20 times": World(likeness=20),
    "likeness: one stretch of the ring, 20 times": World(likeness=20, along="arc"),
    "shock to everybody, 15 times for 3 steps": World(rate=0.01, shock=15),
    "shock to a group the log knows, 20 times": World(rate=0.01, shock=20, shocked="group", prone=0.5, along="arc", known=True),
    "shock to a group the log does not know, 20 times": World(rate=0.01, shock=20, shocked="group", ties="blocks"),
    "shock to half the ring, unknown to the log, 20 times": World(rate=0.01, shock=20, shocked="group", prone=0.5, along="arc"),
    "exposure shuffled: cases follow another network": World(passes=0.08, wrong=True),
    "likeness (10 times) and a shock to everybody (10 times)": World(ties="blocks", likeness=10, shock=10),
    "likeness (20 times), ties that run one way": World(likeness=20, directed=True),
    "likeness (20 times), and a board": World(likeness=20, board=2),
    "likeness: smooth, 40 times, 192 agents": World(likeness=40, agents=192),
    "likeness: a trait that ties follow, 40 times, 192 agents": World(ties="blocks", likeness=40, agents=192),
}
"""Worlds without contagion along the ties that are logged."""

PASSES, SIZES = (0.01, 0.02, 0.04, 0.08, 0.16), (16, 24, 48, 96)

PLANTED = World(rate=0.002)


def called(world: World, worlds: int, permutations: int) -> int:
    """In how many worlds contagion is called."""
    found = [headline(world.made(seed), permutations, Streams(seed)) for seed in range(worlds)]
    return sum(p is not None and p <= LEVEL for p in found)


def alarms(worlds: int, permutations: int) -> Iterator[str]:
    """False alarms: share of worlds without contagion in which each test rejects at 5%, and in which the verdict calls it.

    The last column, which costs ten times all others, is of the first quarter of the worlds.
    """
    tests = (heard_more, closer_in_time, near_the_seeds, influence, other_networks)
    columns = "heard more", "closer in time", "near the seeds", "influence", "placebo networks"
    yield f"| no contagion, but | **verdict** | {' | '.join(columns)} |"
    yield "| --- " * (len(tests) + 2) + "|"
    for name, world in (NOTHING | HARD).items():
        found: list[list[Finding]] = [[] for _ in tests]
        for seed in range(worlds):
            of = world.made(seed)
            for k, test in enumerate(tests if seed < max(1, worlds // 4) else tests[:-1]):
                found[k].append(test(of, permutations, Streams(seed).generator(columns[k])))
        p = [judged(*pair)[0] for pair in zip(found[0], found[1], strict=True)]
        verdict = sum(one is not None and one <= LEVEL for one in p)
        each = [f"{rejected(one) / len(one):.1%}" for one in found]
        yield f"| {name} | **{share(verdict, worlds)}** | {' | '.join(each)} |"


def rejected(tests: Sequence[Finding]) -> int:
    return sum(test.p is not None and test.p <= LEVEL for test in tests)


def power(worlds: int, permutations: int) -> Iterator[str]:
    """Power: share of worlds with contagion in which the verdict calls it, by chance that a message passes it on and by size"""
    found = []
    yield "| chance that a message passes it on | " + " | ".join(f"{size} agents" for size in SIZES) + " |"
    yield "| --- " * (len(SIZES) + 1) + "|"
    for passes in PASSES:
        counts = [called(replace(PLANTED, passes=passes, agents=n), worlds, permutations) for n in SIZES]
        yield f"| {passes} | {' | '.join(share(count, worlds) for count in counts)} |"
        found.append([wilson(count, worlds) for count in counts])
    draw(np.array(found))


def draw(found: NDArray[np.float64]) -> None:
    """The power curves: found (chances, sizes, 3) are shares and their intervals."""
    matplotlib.rcParams.update(STYLE)
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for k, (size, colour) in enumerate(zip(SIZES, COLOURS.values(), strict=False)):
        value, low, high = 100 * found[:, k].T
        axes.errorbar(
            PASSES, value, (value - low, high - value), color=colour, marker="os^D"[k], label=f"{size} agents", capsize=2
        )
    axes.axhline(100 * LEVEL, color="0.7", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(PASSES, [f"{passes:g}" for passes in PASSES])
    axes.minorticks_off()
    axes.set_xlabel("chance that a message passes it on")
    axes.set_ylabel("worlds in which contagion is called (%)")
    axes.legend()
    figure.savefig(FIGURE)


def both(worlds: int, permutations: int) -> Iterator[str]:
    """Power where there is likeness or a shock as well, 48 agents"""
    yield "| chance that a message passes it on | likeness, 10 times | shock to everybody, 10 times |"
    yield "| --- | --- | --- |"
    for passes in (0.04, 0.08, 0.16):
        kinds = (replace(PLANTED, likeness=10, passes=passes), replace(PLANTED, shock=10, passes=passes))
        yield f"| {passes} | {' | '.join(share(called(world, worlds, permutations), worlds) for world in kinds)} |"


def design(worlds: int, permutations: int) -> Iterator[str]:
    """Power of the tests that rest on a random draw, 48 agents who hear two messages of the board besides, 6 index cases"""
    yield "| chance that a message passes it on | near the index cases | heard by chance | verdict |"
    yield "| --- | --- | --- | --- |"
    for passes in (0.0, 0.02, 0.04, 0.08):
        world = replace(PLANTED, passes=passes, board=2, index=6, likeness=20)
        counts = np.zeros(3, dtype=np.int64)
        for seed in range(worlds):
            of, streams = world.made(seed), Streams(seed)
            seeds = near_the_seeds(of, permutations, streams.generator("seeds"))
            chance = heard_by_chance(of, permutations, streams.generator("chance"))
            p = headline(of, permutations, streams)
            counts += [rejected([seeds]), rejected([chance]), p is not None and p <= LEVEL]
        yield f"| {passes} | {' | '.join(share(int(count), worlds) for count in counts)} |"


def cost(worlds: int, permutations: int) -> Iterator[str]:
    """CPU seconds of all tests of one log, 999 permutations or as many as it bears"""
    yield "| agents, steps | onsets | rows at risk | messages received | CPU seconds |"
    yield "| --- | --- | --- | --- | --- |"
    large = World(agents=200, steps=50, passes=0.03, index=2)
    for world, times in ((World(passes=0.1), 1), (large, 10), (large, 100)):
        of = thinned(repeated(world.made(0), times))
        start = time.process_time()
        examined(of, "made", 999)
        spent = time.process_time() - start
        yield f"| {of.size:,}, {of.steps} | {of.cases:,} | {len(of.at):,} | {len(of.step):,} | {spent:.1f} |"


def repeated(of: Evidence, times: int) -> Evidence:
    """As many worlds side by side, with no ties between them."""
    if times == 1:
        return of

    def again(values: NDArray[np.int64], by: int = 0) -> NDArray[np.int64]:
        return (values[None] + by * np.arange(times)[:, None]).ravel()

    order = np.argsort(again(of.step), kind="stable")
    rows = {name: np.tile(getattr(of, name), times) for name in ("onset", "at", "event", "inbox", "apart", "pressed", "eligible")}
    heard = {name: np.tile(getattr(of, name), times)[order] for name in ("step", "dose", "chance")}
    return replace(
        of,
        **rows,
        **heard,
        agent=again(of.agent, of.size),
        hearer=again(of.hearer, of.size)[order],
        source=again(of.source, of.size)[order],
        ties=np.stack([again(end, of.size) for end in of.ties]),
        traits={},
    )


def share(count: int, of: int) -> str:
    value, low, high = wilson(count, of)
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


def wilson(count: int, of: int) -> tuple[float, float, float]:
    low, high = binomtest(count, of).proportion_ci(method="wilson")
    return count / of, float(low), float(high)


PARTS = {"alarms": (alarms, 400), "power": (power, 200), "both": (both, 200), "design": (design, 200), "cost": (cost, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="by default all of them")
    parser.add_argument("--worlds", type=int, help="made worlds for each line")
    parser.add_argument("--permutations", type=int, default=199)
    chosen = parser.parse_args()
    for name in chosen.parts or PARTS:
        part, worlds = PARTS[name]
        print(f"\n## {' '.join((part.__doc__ or '').split())} {chosen.worlds or worlds} worlds.\n")
        for line in part(chosen.worlds or worlds, chosen.permutations):
            print(line, flush=True)


if __name__ == "__main__":
    main()
