"""How well blind detection works: power, false alarms, homophily, and its cost, on made logs in which the truth is known.

python benchmarks/blind.py                  # everything, as Markdown
python benchmarks/blind.py power --runs 40
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csc_matrix
from scipy.stats import binomtest

from contagium.envs.rng import Streams
from contagium.sim.analysis.blind.search import WINDOW, Blind, search
from contagium.sim.analysis.blind.uptake import contacts, uptake
from contagium.sim.observer.roc import area

TOKEN = "xylem"
"""The word that spreads, rises or is somebody's own. No background word is written like it."""


@dataclass(frozen=True)
class World:
    """A made log. Agents on a small-world network say `words` words of a Zipf law a step and hear their neighbours' last message.

    beta: chance that a message with the word passes it on to a hearer, who then says it with chance `says` in each message;
    `index` agents have it from the start. trend: everybody says the word with a chance that grows from 0 to this. alike: agents
    of one half of the ring say it with a chance that grows so, the others never: a cause that reaches only those tied to each
    other. talkers: a scale-free network, on which agents with more neighbours say more words.
    """

    agents: int = 24
    steps: int = 24
    words: int = 12
    vocabulary: int = 400
    degree: int = 4
    rewired: float = 0.1
    index: int = 2
    beta: float = 0.0
    says: float = 0.7
    trend: float = 0.0
    alike: float = 0.0
    talkers: bool = False

    def made(self, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Messages and exposures, as a log has them."""
        near = self._network(seed)
        says = self._says(near, Streams(seed).generator("made spread"))
        exposures = np.argwhere(near)  # hearer, source
        at = np.repeat(np.arange(self.steps), len(exposures))
        hearer, source = np.tile(exposures.T, self.steps)
        ids = np.arange(self.steps * self.agents)
        texts = self._texts(says, near.sum(axis=0), Streams(seed).generator("made words"))
        return (
            pd.DataFrame({"id": ids, "step": ids // self.agents, "sender": ids % self.agents, "text": texts}),
            pd.DataFrame({"step": at, "message": at * self.agents + source, "agent": hearer}),
        )

    def _network(self, seed: int) -> NDArray[np.int64]:
        key = Streams(seed).integer("made network")
        if self.talkers:
            graph = nx.barabasi_albert_graph(self.agents, self.degree // 2, seed=key)
        else:
            graph = nx.watts_strogatz_graph(self.agents, self.degree, self.rewired, seed=key)
        return nx.to_numpy_array(graph, nodelist=range(self.agents), dtype=np.int64)

    def _says(self, near: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Who says the word when, (steps, agents)."""
        has = np.zeros(self.agents, dtype=bool)
        has[rng.choice(self.agents, self.index, replace=False)] = self.beta > 0
        grows = self.trend + np.where(np.arange(self.agents) < self.agents // 2, self.alike, 0)
        says = np.zeros((self.steps, self.agents), dtype=bool)
        for step in range(self.steps):
            says[step] = rng.random(self.agents) < np.where(has, self.says, grows * step / self.steps)
            has |= rng.random(self.agents) < 1 - (1 - self.beta) ** (near @ says[step])
        return says

    def _texts(self, says: NDArray[np.bool_], degree: NDArray[np.int64], rng: np.random.Generator) -> list[str]:
        rate = 1 / np.arange(1, self.vocabulary + 1)
        drawn = rng.choice(self.vocabulary, (self.steps * self.agents, 4 * self.words), p=rate / rate.sum())
        lengths = np.full(self.agents, self.words)
        if self.talkers:
            lengths = np.clip(self.words * degree // self.degree, 3, 4 * self.words)
        words = [f"w{word}" for word in range(self.vocabulary)]
        texts = [[words[word] for word in row[: lengths[i % self.agents]]] for i, row in enumerate(drawn.tolist())]
        return [" ".join([TOKEN, *said[1:]] if told else said) for said, told in zip(texts, says.ravel().tolist(), strict=True)]


NOTHING = World(agents=16, steps=12, words=10, vocabulary=80)


def power(runs: int) -> Iterator[str]:
    """How often the word is found, by size of the group and chance of transmission."""
    yield "| agents, steps | chance that a message passes it on | foremost of all | p < 0.05 | median times likelier |"
    yield "| --- | --- | --- | --- | --- |"
    for agents in (12, 24, 48):
        for beta in (0.02, 0.05, 0.1, 0.2):
            found = [searched(World(agents=agents, beta=beta), seed) for seed in range(runs)]
            named = [[trace for trace in one.spreading if trace.name == TOKEN] for one in found]
            first = sum(bool(one.traces) and one.traces[0].name == TOKEN for one in found)
            ratio = [trace.ratio for one in found for trace in one.traces if trace.name == TOKEN]
            likelier = f"{np.median(ratio):.1f}" if ratio else "never tested"
            yield f"| {agents}, 24 | {beta} | {share(first, runs)} | {share(sum(map(bool, named)), runs)} | {likelier} |"


def alarms(runs: int) -> Iterator[str]:
    """How often anything is named where nothing spreads."""
    yield "| where nothing spreads | anything named at p < 0.05 |"
    yield "| --- | --- |"
    worlds = {
        "words drawn independently": NOTHING,
        "and a word that everybody says ever more often": replace(NOTHING, trend=0.6),
        "and those with more neighbours say more (scale-free network)": replace(NOTHING, trend=0.6, talkers=True, agents=24),
    }
    for name, world in worlds.items():
        yield f"| {name} | {share(sum(bool(searched(world, seed).spreading) for seed in range(runs)), runs)} |"


def homophily(runs: int) -> Iterator[str]:
    """How often the word is named where it reaches one half of the ring alone, from outside."""
    yield "| chance at the end, in one half of the ring | the word named at p < 0.05 |"
    yield "| --- | --- |"
    for alike in (0.1, 0.2, 0.4, 0.6):
        found = [searched(World(agents=48, alike=alike), seed) for seed in range(runs)]
        named = sum(any(trace.name == TOKEN for trace in one.spreading) for one in found)
        yield f"| {alike} | {share(named, runs)} |"


def known(runs: int) -> Iterator[str]:
    """Telling logs in which the word spreads from logs in which it comes into fashion: blind, and knowing the word."""
    yield "| agents, steps | chance that a message passes it on | AUC, word unknown | AUC, word known |"
    yield "| --- | --- | --- | --- |"
    for agents in (12, 24, 48):
        clean = [scores(World(agents=agents, trend=0.6), seed) for seed in range(runs)]
        for beta in (0.05, 0.1):
            seeded = [scores(World(agents=agents, beta=beta), 10_000 + seed) for seed in range(runs)]
            label = np.arange(2 * runs) >= runs
            areas = [area(side[label], side[~label]) for side in np.nan_to_num(np.array(clean + seeded).T, nan=-9.0)]
            yield f"| {agents}, 24 | {beta} | {areas[0]:.2f} | {areas[1]:.2f} |"


def cost(runs: int) -> Iterator[str]:
    """CPU seconds of one search with 999 permutations, without meaning."""
    yield "| agents, steps, words a message | features tested | CPU seconds |"
    yield "| --- | --- | --- |"
    for world in (World(beta=0.1), World(agents=256, steps=100, words=30, vocabulary=4000, degree=8, beta=0.02)):
        tables = world.made(0)
        start = time.process_time()
        found = search(*tables)
        spent = time.process_time() - start
        yield f"| {world.agents}, {world.steps}, {world.words} | {found.tested} | {spent:.1f} |"


def searched(world: World, seed: int) -> Blind:
    return search(*world.made(seed), permutations=199)


def scores(world: World, seed: int) -> tuple[float, float]:
    """The greatest score of any feature, and that of the word."""
    messages, exposures = world.made(seed)
    shows = csc_matrix(messages["text"].str.contains(TOKEN).to_numpy()[:, None])
    told = uptake(contacts(messages, exposures, WINDOW), shows, 1, Streams(seed).generator("known"))
    return search(messages, exposures, permutations=1).evidence, float(told.score[0])


def share(count: int, of: int) -> str:
    low, high = binomtest(count, of).proportion_ci(method="wilson")
    return f"{count}/{of} = {count / of:.1%} ({low:.1%} to {high:.1%})"


PARTS = {"power": (power, 60), "alarms": (alarms, 400), "homophily": (homophily, 60), "known": (known, 60), "cost": (cost, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="by default all of them")
    parser.add_argument("--runs", type=int, help="made logs for each line")
    chosen = parser.parse_args()
    for name in chosen.parts or PARTS:
        part, runs = PARTS[name]
        print(f"\n## {(part.__doc__ or '').strip()}\n")
        for line in part(chosen.runs or runs):
            print(line, flush=True)


if __name__ == "__main__":
    main()
