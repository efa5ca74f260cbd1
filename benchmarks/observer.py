"""What the observer adds to the wall time of a speaking run.

    python benchmarks/observer.py --agents 24 --in-flight 1 2 4 24 --rounds 8 --repeats 3

A run as `contagium backend=openai` makes it, against a loopback server (`server.py`) that answers after 50 ms, with 24 words
that no two replies share, so that nothing is read from memory. Of the two arms one has the default observer and the other reads
nothing but stated expressions, of which there are none. They take turns, each in a fresh process; the first round does not count.
in flight: calls that are under way at once, at most. Prints a Markdown table: seconds of a round with and without, medians over
repeats, and their ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from marks import Marks, apart
from server import MODEL, serving

LATENCY, WORDS = 0.05, 24


def scenario(root: str, agents: int, steps: int, in_flight: int, observer: str) -> Any:
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf

    from contagium.sim.scenario import make_scenario

    chosen = [f"backend.base_url={root}/v1", f"backend.model={MODEL}", f"backend.concurrency={in_flight}", f"steps={steps}"]
    chosen += [f"population.size={agents}", "seeding.count=1", "agents.groups.speaking.policy.index_voice=model"]
    name = "default" if observer == "none" else observer
    with initialize_config_module("contagium.conf", version_base="1.3"):
        config = compose("config", ["backend=openai", f"observer={name}", *chosen])
    whole: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    if observer == "none":
        watched = whole["observer"]
        watched["instruments"] = {"expression": watched["instruments"]["expression"]}
        watched["axes"] = {"valence": ["expression"]}
        watched["case"] |= {"instrument": "expression"}
        whole["persona"]["detection"] |= {"expression": {"enter": 0.5, "stay": 0.5}}
    return make_scenario(whole)


def walls(root: str, agents: int, rounds: int, in_flight: int, observer: str) -> tuple[list[float], float]:
    """Seconds of each round, and CPU milliseconds per agent-turn."""
    from contagium.sim.laboratory import prepare
    from contagium.sim.run import run

    marks = Marks(agents)
    with tempfile.TemporaryDirectory() as room:
        lab = prepare(scenario(root, agents, rounds + 1, in_flight, observer), Path(room))
        asyncio.run(run(lab, "benchmark", lambda _: marks.set(), lambda: None))
    return marks.walls, marks.cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=24)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 2, 4, 24])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--latency", type=float, default=LATENCY, help="seconds from a request to its answer")
    parser.add_argument("--observer", nargs="+", default=["default", "lexicon"], help="choices of the group observer")
    chosen = parser.parse_args()
    print("| observer | in flight | s a round | without | ratio | ms CPU a message | without |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for observer in chosen.observer:
        for in_flight in chosen.in_flight:
            with serving(chosen.latency, words=WORDS) as root:
                size = (root, chosen.agents, chosen.rounds, in_flight)
                pairs = [(apart(walls, *size, observer), apart(walls, *size, "none")) for _ in range(chosen.repeats)]
            long, short = (statistics.median(statistics.fmean(pair[k][0]) for pair in pairs) for k in (0, 1))
            cpu = [statistics.median(pair[k][1] for pair in pairs) for k in (0, 1)]
            ratio = statistics.median(statistics.fmean(a[0]) / statistics.fmean(b[0]) for a, b in pairs)
            row = (observer, in_flight, f"{long:.2f}", f"{short:.2f}", f"{ratio:.3f}", f"{cpu[0]:.2f}", f"{cpu[1]:.2f}")
            print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
