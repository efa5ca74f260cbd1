"""The dose-response curve of a backend: how often a reply takes up the persona, by the number of posts that carry it.

Each reply is that of an agent that has read `POSTS` posts of others, k of them lines of the persona, the rest plain notes;
sampling is that of the default run. Which lines and in what order is drawn anew for each. Three things are counted apart:
copying is not adoption.

- adopted: the reply holds a word or phrase of the persona's lexicon;
- voice: the sentence encoder's reading of the reply reaches the persona's case threshold, whatever its words;
- copied: it shares a run of `RUN` words with one of the persona's lines it read.

Intervals are Wilson's (1927). Calls that fail are left out of the shares and counted.

    python benchmarks/dose_response.py llama --replies 100
    python benchmarks/dose_response.py openai --set base_url=http://127.0.0.1:8000/v1 --set model=my-model
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import yaml
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from scipy.stats import binomtest

from contagium.agents.backends.backend import Backend, BackendError, Request, Sampling
from contagium.agents.backends.budget import Budget
from contagium.agents.backends.stack import CallRules, assemble
from contagium.agents.memory import Entry
from contagium.agents.persona import Persona
from contagium.agents.prompt import render, system_text
from contagium.agents.weights import WeightsError
from contagium.envs.message import Axes, Messages
from contagium.envs.names import NAMES
from contagium.envs.rng import Streams
from contagium.sim.analysis.figures.style import STYLE, legend_below
from contagium.sim.analysis.text import visible
from contagium.sim.build import ScenarioError, build
from contagium.sim.observer.instrument import Briefing, Material
from contagium.sim.observer.instruments.embedding import Embedding

ROOT = Path(__file__).resolve().parents[1]
POSTS = 5
RUN = 6
SAMPLING = Sampling(temperature=0.8, top_p=0.95, max_tokens=32, repeat_penalty=1.1)
SITUATION = "You are one of 12 members of an online forum and post one short message at a time."


@dataclass(frozen=True)
class Reply:
    """One reply at one dose. voice: None where no instrument read it. failure: why there is none, "" where there is one."""

    dose: int
    replicate: int
    text: str
    adopted: bool
    copied: bool
    voice: bool | None = None
    failure: str = ""


def persona(name: str) -> Persona:
    return Persona(**yaml.safe_load((ROOT / "conf" / "persona" / f"{name}.yaml").read_text(encoding="utf-8")))


def lexicon(strain: Persona) -> re.Pattern[str]:
    """Matches any word or phrase of the persona's facets; a trailing * stands for any ending."""
    terms = [term for facet in strain.facets.values() for term in facet]
    words = "|".join(re.escape(term.removesuffix("*")) + (r"\w*" if term.endswith("*") else "") for term in terms)
    return re.compile(rf"\b(?:{words})\b", re.IGNORECASE)


def copies(text: str, sources: Sequence[str]) -> bool:
    """Whether `text` shares a run of `RUN` words with one of `sources`, case and punctuation aside."""

    def runs(said: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+", said.lower())
        return {tuple(words[k : k + RUN]) for k in range(len(words) - RUN + 1)}

    return any(runs(text) & runs(source) for source in sources)


def posts(strain: Persona, plain: Persona, dose: int, replicate: int, streams: Streams) -> tuple[list[Entry], list[str]]:
    """What the agent has read, in order, and which of it are the persona's lines."""
    rng = streams.generator("dose", dose, replicate)
    spiral = [str(line) for line in rng.choice(strain.examples, dose, replace=False)]
    lines = [*spiral, *rng.choice(plain.examples, POSTS - dose, replace=False)]
    order, authors = rng.permutation(POSTS), rng.permutation(len(NAMES) - 1)[:POSTS] + 1
    return [Entry("read", NAMES[who], str(lines[k])) for k, who in zip(order, authors, strict=True)], spiral


async def measure(backend: Backend, replies: int, seed: int, strain: Persona, plain: Persona) -> list[Reply]:
    streams, words = Streams(seed), lexicon(strain)
    system = system_text(NAMES[0], plain.text, SITUATION)

    async def one(dose: int, replicate: int) -> Reply:
        entries, spiral = posts(strain, plain, dose, replicate, streams)
        chat = render(backend.prompt_form, system, entries)
        request = Request(chat, SAMPLING, streams.integer("reply", dose, replicate), replicate, "dose_response")
        try:
            text = " ".join((await backend.complete(request)).text.split())
        except BackendError as error:
            if error.fatal:
                raise
            return Reply(dose, replicate, "", False, False, failure=error.reason)
        failure = "" if text else "empty"
        return Reply(dose, replicate, text, words.search(text) is not None, copies(text, spiral), failure=failure)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(dose, k)) for dose in range(POSTS + 1) for k in range(replies)]
        console = Console(stderr=True)
        for finished in track(asyncio.as_completed(tasks), "replies", total=len(tasks), console=console):
            await finished
    return [task.result() for task in tasks]


def listen(replies: Sequence[Reply], strain: Persona) -> list[Reply]:
    """The replies with what the observer's embedding instrument makes of them."""
    axes = Axes((strain.name,))
    instrument = Embedding()
    instrument.begin(Briefing(axes, (strain,)))
    given = [k for k, reply in enumerate(replies) if not reply.failure]
    nobody = np.zeros(len(given), dtype=np.int64)
    texts = {n: replies[k].text for n, k in enumerate(given)}
    said = Messages(
        np.arange(len(given)),
        nobody,
        nobody,
        nobody.astype(np.int8),
        nobody,
        nobody,
        np.full((len(given), len(axes)), np.nan),
        texts,
    )
    (readings,) = asyncio.run(instrument.read(Material(0, said)))
    heard = dict(zip(readings.ids.tolist(), readings.values[:, 0] >= strain.detection["embedding"].enter, strict=True))
    voices = {k: bool(heard[n]) for n, k in enumerate(given)}
    return [replace(reply, voice=voices.get(k)) for k, reply in enumerate(replies)]


def curve(replies: Sequence[Reply]) -> list[dict[str, Any]]:
    """One row a dose: counts, and shares with their 95% Wilson intervals."""
    rows = []
    for dose in range(POSTS + 1):
        cell = [reply for reply in replies if reply.dose == dose]
        given = [reply for reply in cell if not reply.failure]
        counts = {
            "adopted": sum(reply.adopted for reply in given),
            "copied": sum(reply.copied for reply in given),
            "adopted_in_own_words": sum(reply.adopted and not reply.copied for reply in given),
        }
        if all(reply.voice is not None for reply in given):
            counts["voice"] = sum(bool(reply.voice) for reply in given)
        if not given:
            raise SystemExit(f"no reply at dose {dose}: {', '.join(sorted({reply.failure for reply in cell}))}")
        row: dict[str, Any] = {"dose": dose, "replies": len(given), "failed": len(cell) - len(given)}
        for name, count in counts.items():
            row |= {name: count} | share(name, count, len(given))
        rows.append(row)
    return rows


def share(name: str, count: int, total: int) -> dict[str, float]:
    """Share and its 95% Wilson interval under three keys. total: at least 1."""
    interval = binomtest(count, total).proportion_ci(method="wilson")
    return {f"{name}_share": count / total, f"{name}_low": interval.low, f"{name}_high": interval.high}


def draw(rows: Sequence[dict[str, Any]], title: str, stem: Path) -> None:
    series = [
        ("voice", "in the persona's voice (encoder, case threshold)", "D", "#009E73"),
        ("adopted", "lexicon word in the reply", "o", "#D55E00"),
        ("adopted_in_own_words", "lexicon word, not copied", "s", "#0072B2"),
        ("copied", f"copied {RUN} words or more", "^", "#CC79A7"),
    ]
    series = [line for line in series if line[0] in rows[0]]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.subplots()
        for offset, (name, said, marker, colour) in zip((-0.09, -0.03, 0.03, 0.09), series, strict=False):
            shares = [row[f"{name}_share"] for row in rows]
            below = [max(0.0, row[f"{name}_share"] - row[f"{name}_low"]) for row in rows]
            above = [max(0.0, row[f"{name}_high"] - row[f"{name}_share"]) for row in rows]
            doses = [row["dose"] + offset for row in rows]
            axes.errorbar(doses, shares, (below, above), marker=marker, markersize=4, color=colour, capsize=2, label=said)
        # A little room around 0 and 1, so that no mark is cut.
        axes.set(xlabel=f"posts that carry the persona, of {POSTS} read", ylabel="share of replies", ylim=(-0.02, 1.02))
        axes.set_title(visible(title))  # a model's name may hold anything
        legend_below(axes, columns=2)
        for suffix in (".png", ".svg"):
            figure.savefig(stem.with_suffix(suffix), metadata={"Date": None} if suffix == ".svg" else None)


async def run(arguments: argparse.Namespace) -> None:
    settings = yaml.safe_load((ROOT / "conf" / "backend" / f"{arguments.backend}.yaml").read_text(encoding="utf-8"))
    for assignment in arguments.set:
        key, _, value = assignment.partition("=")
        settings[key] = yaml.safe_load(value)
    endpoints: Backend | list[Backend] = build(settings, "backend")
    strain, plain = persona(arguments.persona), persona("plain")
    async with assemble(endpoints, CallRules(), Budget(), None, print) as backend:
        replies = await measure(backend, arguments.replies, arguments.seed, strain, plain)
    if arguments.voice:
        replies = listen(replies, strain)
    rows = curve(replies)
    about = {"model": backend.model, "prompt_form": backend.prompt_form, "persona": strain.name, "seed": arguments.seed}
    about |= {"posts": POSTS, "run": RUN, "sampling": asdict(SAMPLING)}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(about | {"doses": rows}, indent=2)
    arguments.out.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    title = f"{backend.model}, persona {strain.name}\n{arguments.replies} replies a dose, 95% intervals"
    draw(rows, title, arguments.out)
    if arguments.keep:
        with arguments.keep.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(Reply.__dataclass_fields__))
            writer.writeheader()
            writer.writerows(asdict(reply) for reply in replies)
    for row in rows:
        names = ("voice", "adopted", "adopted_in_own_words", "copied", "failed")
        shares = "  ".join(f"{name} {row[name]:3d}" for name in names if name in row)
        print(f"dose {row['dose']}: {row['replies']} replies  {shares}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the dose-response curve of a backend.")
    parser.add_argument("backend", help="a file of conf/backend, such as llama, openai or parrot")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the backend")
    parser.add_argument("--replies", type=int, default=100, help="replies per dose (default 100)")
    parser.add_argument("--persona", default="spiral", help="a file of conf/persona (default spiral)")
    parser.add_argument("--voice", action="store_true", help="read replies with the sentence encoder too (fetched once, 84 MB)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("outputs/dose_response"), help="path without ending")
    parser.add_argument("--keep", type=Path, help="write every reply to this CSV file")
    arguments = parser.parse_args()
    if arguments.replies < 1:
        parser.error(f"--replies must be at least 1, got {arguments.replies}")
    try:
        asyncio.run(run(arguments))
    except* (BackendError, ScenarioError, WeightsError, OSError) as group:
        sys.exit("\n".join(str(error) for error in group.exceptions))


if __name__ == "__main__":
    main()
