"""How fast the embedded model answers: the engine's backend beside the runtime's own bare loop, on requests of the default run.

    python benchmarks/embedded.py --slots 1 4 8 --threads 1 2

The requests are those of the first steps of the default scenario, played once with the model itself. Bare: as many threads as
slots call `xllamacpp.Server.handle_chat_completions` with the same bodies. Engine: `Llama` inside the wrappers and the journal
that a run puts around it. Both answer all requests of a step before those of the next, each in a fresh process, taking turns; a
row is the fastest of `--repeats`, since others may use the machine. CPU is that of all threads. Reused: prompt tokens found in
the prefix cache. "name first" and "name last" say where the agent's name stands in the system prompt, whose other lines all
agents share; "no cache" is without prefix cache. Weights are fetched once (93 MB). Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import xllamacpp
from marks import apart

from contagium.agents.backends.backend import Completion, Request, Sampling, Turn
from contagium.agents.backends.budget import Budget
from contagium.agents.backends.journal import Journal
from contagium.agents.backends.llama import MIN_P, TOP_K, Llama
from contagium.agents.backends.stack import CallRules, assemble
from contagium.agents.weights import SMOLLM2, fetch

CONTEXT = 2048
NAME = "Your name is "
WARM_UP = Request((Turn("user", "Tell a story."),), Sampling(max_tokens=4))
_made: list[Request] = []


class Keeping(Llama):
    """The embedded model; keeps what it is asked."""

    async def complete(self, request: Request) -> Completion:
        _made.append(request)
        return await super().complete(request)


@dataclass(frozen=True)
class Measured:
    """seconds, cpu: of all replies. written: tokens generated. reused: share of the prompt tokens that were not computed anew."""

    replies: int
    seconds: float
    cpu: float
    written: int
    reused: float | None

    def row(self, name: str) -> str:
        reused = "" if self.reused is None else f"{self.reused:.0%}"
        speeds = f"{self.replies / self.seconds:.2f} | {self.written / self.seconds:.1f} | {self.cpu / self.replies:.2f}"
        return f"| {name} | {speeds} | {reused} |"


@dataclass(frozen=True)
class Setting:
    slots: int
    threads: int
    cache: bool = True


def record(steps: int) -> list[Request]:
    """The requests of the default scenario."""
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf

    from contagium.sim.laboratory import prepare
    from contagium.sim.run import run
    from contagium.sim.scenario import make_scenario

    with initialize_config_module("contagium.conf", version_base="1.3"):
        config = compose("config", [f"backend._target_={__name__}.Keeping", "observer=lexicon", f"steps={steps}"])
    with tempfile.TemporaryDirectory() as room:
        lab = prepare(make_scenario(OmegaConf.to_container(config, resolve=True)), Path(room))
        asyncio.run(run(lab, "benchmark", lambda progress: None, lambda: None))
    return [request for request in _made if request.step >= 1]


def rounds(requests: Sequence[Request]) -> list[list[Request]]:
    """By step."""
    return [list(asked) for _, asked in groupby(requests, attrgetter("step"))]


def named(request: Request, first: bool) -> Request:
    """The request with the agent's name before or behind the other lines of the system prompt."""
    system, *rest = request.messages
    lines = sorted(system.content.split("\n"), key=lambda line: line.startswith(NAME) is not first)
    return replace(request, messages=(Turn("system", "\n".join(lines)), *rest))


def bare(requests: Sequence[Request], setting: Setting) -> Measured:
    """The runtime's own loop."""
    params = xllamacpp.CommonParams()
    params.model.path = str(fetch(SMOLLM2) / SMOLLM2.members[0].name)
    params.n_parallel, params.n_ctx = setting.slots, CONTEXT * setting.slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = setting.threads
    params.cache_prompt, params.cache_ram_mib, params.cache_idle_slots = setting.cache, 0, False
    params.verbosity = -1
    server = xllamacpp.Server(params)
    with ThreadPoolExecutor(setting.slots) as pool:
        list(pool.map(server.handle_chat_completions, [body(WARM_UP)] * setting.slots))
        seconds, cpu = -time.perf_counter(), -time.process_time()
        asked = ([body(request) for request in together] for together in rounds(requests))
        usage = [reply["usage"] for bodies in asked for reply in pool.map(server.handle_chat_completions, bodies)]
        seconds, cpu = seconds + time.perf_counter(), cpu + time.process_time()
    reused = sum(used["prompt_tokens_details"]["cached_tokens"] for used in usage) / sum(used["prompt_tokens"] for used in usage)
    return Measured(len(usage), seconds, cpu, sum(used["completion_tokens"] for used in usage), reused)


def body(request: Request) -> dict[str, Any]:
    """The request as the backend sends it."""
    sampling = request.sampling
    return {
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": TOP_K,
        "min_p": MIN_P,
        "repeat_penalty": sampling.repeat_penalty,
        "max_tokens": sampling.max_tokens,
        "seed": request.seed % 2**32,
        "stop": [],
    }


def engine(requests: Sequence[Request], setting: Setting) -> Measured:
    """The same requests through the engine. It does not say what was reused."""
    llama = Llama(threads=setting.threads, slots=setting.slots, context=CONTEXT)

    async def all_rounds(path: Path) -> Measured:
        budget = Budget()
        async with Journal(path) as journal, assemble(llama, CallRules(), budget, journal, print) as backend:
            seconds, cpu = -time.perf_counter(), -time.process_time()
            replies = [reply for together in rounds(requests) for reply in await asyncio.gather(*map(backend.complete, together))]
            seconds, cpu = seconds + time.perf_counter(), cpu + time.process_time()
        return Measured(len(replies), seconds, cpu, sum(reply.completion_tokens or 0 for reply in replies), None)

    with tempfile.TemporaryDirectory() as room:
        return asyncio.run(all_rounds(Path(room) / "journal.db"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3, help="of the default scenario; the first, without inbox, is left out")
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=2)
    chosen = parser.parse_args()
    requests = apart(record, chosen.steps)
    first, last = ([named(request, place) for request in requests] for place in (True, False))
    print("| slots | threads | | replies a second | tokens a second | CPU s a reply | reused |")
    print("| ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for threads in chosen.threads:
        for slots in chosen.slots:
            setting = Setting(slots, threads)
            rows = {
                "bare, name first": (bare, first, setting),
                "bare, name last": (bare, last, setting),
                "bare, name last, no cache": (bare, last, replace(setting, cache=False)),
                "engine, name last": (engine, last, setting),
            }
            seen: dict[str, list[Measured]] = {name: [] for name in rows}
            for _ in range(chosen.repeats):
                for name, work in rows.items():
                    seen[name].append(apart(*work))
            for name, measured in seen.items():
                print(min(measured, key=lambda one: one.seconds).row(f"{slots} | {threads} | {name}"), flush=True)


if __name__ == "__main__":
    main()
