"""How fast the instruments read, and in how much memory: prints a Markdown table.

Usage: python benchmarks/instruments.py [--messages 20000] [--embedded 600] [--stream 1000000] [--repeats 5]

Messages are sentences of conf/posts.yaml and the personas joined to about 30 tokens (23 words), two in ten with a word never seen
before; they come in steps of 500, all different. Speeds are messages per CPU-second of the fastest of `repeats` passes, on one
thread, through `read`, so with all that a run pays. "lexicons together" is one after another on the same messages. embedded:
messages for the instruments that need the encoder, 0 to leave them out; they want its weights in the cache. stream: messages that
all lexicons read in one go while memory is watched. Set OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import time
from collections.abc import Iterator, Sequence
from importlib.resources import files

import numpy as np
import yaml

from contagium.agents.persona import Persona
from contagium.envs.message import Axes, Messages
from contagium.envs.rng import Streams
from contagium.sim.observer.instrument import Briefing, Instrument, Material
from contagium.sim.observer.instruments.direction import Direction
from contagium.sim.observer.instruments.embedding import Embedding
from contagium.sim.observer.instruments.emotion_lexicon import EmotionLexicon
from contagium.sim.observer.instruments.lexicon import Lexicon
from contagium.sim.observer.instruments.persona_lexicon import PersonaLexicon
from contagium.sim.observer.instruments.signs import Signs
from contagium.sim.observer.instruments.surprise import Surprise

CONF = files("contagium.conf")
STEP = 500
WORDS = 23
NEW = 0.2


def personas() -> tuple[Persona, ...]:
    names = ("spiral", "calm_mentor", "plain")
    return tuple(Persona(**yaml.safe_load((CONF / "persona" / f"{name}.yaml").read_text(encoding="utf-8"))) for name in names)


def texts(stream: str) -> Iterator[str]:
    """Messages without end, no two alike."""
    posts = [post["text"] for post in yaml.safe_load((CONF / "posts.yaml").read_text(encoding="utf-8"))["texts"]]
    pool = [*posts, *(line for persona in personas() for line in persona.examples)]
    rng, count = Streams(0).generator(stream), 0
    while True:
        words: list[str] = []
        while len(words) < WORDS:
            words += pool[rng.integers(len(pool))].split()
        count += 1
        yield " ".join([*words[: WORDS - 1], f"ref{count}" if rng.random() < NEW else words[-1]])


def steps(source: Iterator[str], messages: int) -> Iterator[Material]:
    axes = len(Axes(("spiral",)))
    for step, start in enumerate(range(0, messages, STEP)):
        ids = np.arange(start, min(start + STEP, messages))
        zero = np.zeros(len(ids), dtype=np.int64)
        unknown = np.full((len(ids), axes), np.nan, dtype=np.float32)
        said = {int(i): next(source) for i in ids}
        yield Material(step, Messages(ids, ids % 100, zero + step, zero.astype(np.int8), ids, zero - 1, unknown, said))


async def read_all(instruments: Sequence[Instrument], materials: Sequence[Material]) -> float:
    """CPU seconds."""
    began = time.process_time()
    for material in materials:
        for instrument in instruments:
            await instrument.read(material)
    return time.process_time() - began


def speed(instruments: Sequence[Instrument], messages: int, repeats: int) -> float:
    """Messages per CPU-second of the fastest pass, each over other messages, after a short one that does not count."""
    source = texts(instruments[0].name)  # what one encoder has read, another instrument finds remembered
    asyncio.run(read_all(instruments, list(steps(source, STEP))))
    return max(messages / asyncio.run(read_all(instruments, list(steps(source, messages)))) for _ in range(repeats))


def peak() -> float:
    """MiB of memory this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def grown(instruments: Sequence[Instrument], messages: int) -> float:
    """MiB by which reading a stream of messages raises the peak above that of its first fiftieth."""

    async def watch() -> float:
        first, early = max(messages // 50 // STEP, 1), 0.0
        for step, material in enumerate(steps(texts("stream"), messages)):
            await read_all(instruments, [material])
            if step + 1 == first:
                early = peak()
        return peak() - early

    return asyncio.run(watch())


def begun(instruments: Sequence[Instrument]) -> Sequence[Instrument]:
    briefing = Briefing(Axes(("spiral",)), personas())
    for instrument in instruments:
        instrument.begin(briefing)
    return instruments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--embedded", type=int, default=600)
    parser.add_argument("--stream", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print("| instrument | messages per CPU-second |\n| --- | --- |")
    lexicons = begun([Lexicon(), PersonaLexicon(), EmotionLexicon(), Signs()])
    for instrument in (*lexicons, *begun([Surprise()])):
        print(f"| `{instrument.name}` | {speed([instrument], given.messages, given.repeats):,.0f} |")
    print(f"| lexicons together | {speed(lexicons, given.messages, given.repeats):,.0f} |")
    if given.embedded:
        for heavy in begun([Embedding(), Direction()]):
            print(f"| `{heavy.name}` | {speed([heavy], given.embedded, min(given.repeats, 2)):,.0f} |")
    if given.stream:
        rise = grown(lexicons, given.stream)
        print(f"\n{given.stream:,} messages raised the memory of all lexicons by {rise:.1f} MiB, to {peak():.0f} MiB.")


if __name__ == "__main__":
    main()
