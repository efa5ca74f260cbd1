"""Replaying turns of parrots, whose adoption is known: how often the intervals hold it, and which edges are confirmed.

python benchmarks/counterfactual.py [runs] [samples]: the table of docs/counterfactual.md, about four CPU-seconds a run.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from contagium.agents.backends.backend import Completion, Request
from contagium.agents.backends.parrot import SPIRAL_LINES, Parrot
from contagium.sim.__main__ import _run
from contagium.sim.counterfactual import turn
from contagium.sim.counterfactual.__main__ import main as ask
from contagium.sim.counterfactual.results import Edge, read_counterfactual
from contagium.sim.counterfactual.tape import Swaps
from contagium.sim.observer.instruments.persona_lexicon import PersonaLexicon
from contagium.sim.reading import open_run
from contagium.sim.resume import stored

ENTER = 0.35
RUN = ("backend=parrot", "observer=lexicon", f"persona.detection.persona_lexicon.enter={ENTER}", "steps=10", "population.size=16")
Truth = dict[tuple[int, int, frozenset[int]], float]


@contextlib.contextmanager
def watched(truth: Truth) -> Iterator[None]:
    """Note with which probability the parrot adopts, by agent, step and messages that are masked."""
    masked: ContextVar[frozenset[int]] = ContextVar("masked")
    draw, replies = turn.Drawn.complete, turn.Turn.replies

    async def drawing(self: turn.Drawn, request: Request) -> Completion:
        truth[request.agent, request.step, masked.get()] = Parrot().probability(request)
        return await draw(self, request)

    async def replying(self: turn.Turn, samples: int, swaps: Swaps | None = None) -> list[str | None]:
        masked.set(frozenset(swaps or ()))
        return await replies(self, samples, swaps)

    _put(turn.Drawn, "complete", drawing)
    _put(turn.Turn, "replies", replying)
    try:
        yield
    finally:
        _put(turn.Drawn, "complete", draw)
        _put(turn.Turn, "replies", replies)


def _put(owner: type, name: str, function: Callable[..., Any]) -> None:
    setattr(owner, name, function)


def one(seed: int, samples: int, directory: Path) -> tuple[list[Edge], Truth, float]:
    """The edges of a run, what is true of them, and the share of infected lines that are read as a sign."""
    truth: Truth = {}
    sys.argv = ["contagium"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), watched(truth):
        _run(["contagium", *RUN, "seeding.count=2", f"seed={seed}", f"hydra.run.dir={directory}"])
        ask([str(directory), "--all", "--samples", str(samples), "--together"])
    lexicon = PersonaLexicon()
    lexicon._take(stored(directory).personas)
    shown = float((lexicon._score(SPIRAL_LINES)[:, 0] >= ENTER).mean())
    run = open_run(directory)
    try:
        return read_counterfactual(run), truth, shown
    finally:
        run.close()


def main(runs: int, samples: int) -> None:
    """Print coverage by kind of estimate, and confirmed edges by the size of what is true of them."""
    held: defaultdict[str, list[bool]] = defaultdict(list)
    confirmed: defaultdict[str, list[bool]] = defaultdict(list)
    for seed in range(runs):
        with tempfile.TemporaryDirectory() as aside:
            edges, truth, shown = one(seed, samples, Path(aside) / "run")
        baselines: set[int] = set()
        for edge in edges:
            first = shown * truth[edge.agent, edge.onset, frozenset()]
            second = shown * truth[edge.agent, edge.onset, frozenset(edge.messages)]
            effect = first - second
            told = [("P(sign), changed", edge.changed, second)]
            told += [("P(sign) as it was", edge.baseline, first)] if edge.transition not in baselines else []
            baselines.add(edge.transition)
            told += [("difference, where there is one" if effect else "difference of 0", edge.effect, effect)]
            for name, of, true in told:
                if of.low is not None and of.high is not None:
                    held[name].append(of.low - 1e-9 <= true <= of.high + 1e-9)
            size = "0" if not effect else "up to 0.1" if abs(effect) <= 0.1 else "0.1 to 0.2" if effect <= 0.2 else "above 0.2"
            confirmed[size].append(bool(edge.confirmed))
    for title, counts in (("interval holds the truth", held), ("confirmed, by the true difference", confirmed)):
        print(f"{title}: what, edges, share (95% interval)")
        for name, of_them in sorted(counts.items()):
            interval = binomtest(sum(of_them), len(of_them)).proportion_ci(method="wilson")
            share = sum(of_them) / len(of_them)
            print(f"| {name} | {len(of_them)} | {share:.1%} ({interval.low:.1%} to {interval.high:.1%}) |")


if __name__ == "__main__":
    main(*(int(argument) for argument in [*sys.argv[1:], "20", "50"][:2]))
