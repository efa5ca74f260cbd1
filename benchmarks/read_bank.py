"""Read a bank of texts anew, by the default instruments, and print it as YAML.

    python benchmarks/read_bank.py                        # conf/posts.yaml, to standard output
    python benchmarks/read_bank.py --write                # … into the file itself
    python benchmarks/read_bank.py my.yaml --persona conf/persona/spiral.yaml my_persona.yaml --write

The file needs `texts`, each with a `text`; what else it holds is written new. Says on standard error how far readings moved, and
how many texts lie where. Needs the sentence encoder's weights, which are fetched once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from contagium.agents.persona import Persona
from contagium.agents.weights import MINILM
from contagium.envs.message import Axes, Messages
from contagium.sim.files import put
from contagium.sim.observer.instrument import Briefing, Instrument, Material
from contagium.sim.observer.instruments.embedding import Embedding
from contagium.sim.observer.instruments.lexicon import Lexicon
from contagium.sim.observer.observer import as_stated

CONF = Path(__file__).resolve().parents[1] / "conf"
STRAINS = ("spiral", "calm_mentor")
HEADER = """\
# Short posts of a workplace, some in the voice of a persona, for mechanistic agents whose words are read by others. Research
# material, written for this laboratory.
# canary: contagium-research-material-5f1c3b7e-posts
# `read` is what benchmarks/read_bank.py measured, by the instruments named below, on the axes in their order. A strain is on the
# scale of outright expressions: 0.5 where the reading reaches `enter` of the persona, 1 at most. No instrument that reads texts
# measures dominance, so there is no column for it.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=CONF / "posts.yaml")
    own = [CONF / "persona" / f"{name}.yaml" for name in STRAINS]
    parser.add_argument("--persona", nargs="+", type=Path, default=own, help="strains of which the texts are read")
    parser.add_argument("--write", action="store_true", help="write the file instead of printing it")
    chosen = parser.parse_args()
    before = yaml.safe_load(chosen.file.read_text(encoding="utf-8"))
    texts = [entry["text"] for entry in before["texts"]]
    personas = [Persona.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in chosen.persona]
    axes = ["valence", "arousal", *(persona.name for persona in personas)]
    values = measure(texts, personas)
    tell(before, axes, values)
    written = render(texts, axes, values, personas)
    if chosen.write:
        put(chosen.file, written.encode())
    else:
        print(written, end="")


def measure(texts: Sequence[str], personas: Sequence[Persona]) -> NDArray[np.float64]:
    """Valence, arousal, and each persona on the scale of outright expressions, (texts, 2 + personas); NaN where it failed."""
    ids = np.arange(len(texts))
    axes = Axes(tuple(persona.name for persona in personas))
    unread = np.full((len(ids), len(axes)), np.nan, dtype=np.float32)
    channel = np.zeros(len(ids), dtype=np.int8)
    material = Material(0, Messages(ids, ids, ids, channel, ids, ids, unread, dict(enumerate(texts))))
    instruments: tuple[Instrument, ...] = (Lexicon(), Embedding())
    columns = []
    for instrument in instruments:
        instrument.begin(Briefing(axes, tuple(personas)))
        (readings,) = asyncio.run(instrument.read(material))
        columns.append(readings.values.astype(np.float64))
    enter = np.array([persona.detection["embedding"].enter for persona in personas])
    return np.round(np.concatenate([columns[0], as_stated(columns[1], enter)], axis=1), 3)


def tell(before: dict[str, Any], axes: list[str], values: NDArray[np.float64]) -> None:
    """What changed, and where the texts lie, on standard error."""
    old = [entry.get("read") for entry in before["texts"]] if before.get("axes") == axes else []
    if old and all(row is not None and len(row) == len(axes) for row in old):
        moved = np.nanmax(np.abs(np.array(old, dtype=np.float64) - values))
        print(f"largest change of a reading: {moved:.3f}", file=sys.stderr)
    for column, axis in enumerate(axes):
        there = values[:, column]
        counts = np.histogram(there, bins=[-1, -0.6, -0.2, 0.2, 0.5, 0.8, 1.01])[0]
        failed = int(np.isnan(there).sum())
        print(f"{axis}: below −.6, −.2, .2, .5, .8, 1: {', '.join(map(str, counts))}; failed {failed}", file=sys.stderr)


def render(texts: Sequence[str], axes: list[str], values: NDArray[np.float64], personas: Sequence[Persona]) -> str:
    """The file as text. JSON strings are YAML, whatever stands in them."""
    lexicon = f"lexicon, with vaderSentiment {version('vaderSentiment')}"
    lines = [f"axes: [{', '.join(axes)}]", "instruments:", f"  valence: {lexicon}", f"  arousal: {lexicon}"]
    for persona in personas:
        enter = persona.detection["embedding"].enter
        lines.append(f"  {persona.name}: embedding, with all-MiniLM-L6-v2 of {MINILM.package} {MINILM.version}, enter {enter}")
    lines.append("texts:")
    for text, row in zip(texts, values, strict=True):
        read = ", ".join("null" if np.isnan(value) else f"{value:g}" for value in row + 0.0)
        lines += [f"- text: {json.dumps(text, ensure_ascii=False)}", f"  read: [{read}]"]
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
