"""How well each persona that ships is told from everything else: python benchmarks/measure_personas.py [--arms] [NAME …]

Its own lines, which no ruler is made of, stand against the sentences of conf/labelled.csv and the lines of all personas of
another name. For each instrument a row: the lowest thresholds that at most 1% and 5% of the others reach, the one that stands
in the persona's file, how many of the others reach that, and how many of its own lines.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from contagium.agents.persona import Persona
from contagium.agents.strains import carried_by
from contagium.envs.message import Axes
from contagium.sim.observer.calibration import begun, configuration, read_labelled, read_texts
from contagium.sim.observer.roc import threshold_at

Arms = Mapping[str, Sequence[str]]

INSTRUMENTS = ("direction", "embedding", "persona_lexicon")
CONF = Path(str(files("contagium.conf")))


def shipped() -> dict[str, tuple[dict[str, dict[str, Any]], Persona]]:
    """What the observer's instruments are made of, and the persona, by file."""
    return {path.stem: configuration(path.stem) for path in sorted((CONF / "persona").glob("*.yaml"))}


def measure(specs: Mapping[str, dict[str, Any]], persona: Persona, others: Sequence[str], arms: Arms) -> None:
    for name in INSTRUMENTS:
        instrument = begun(name, specs, persona, {})

        def read(texts: Sequence[str], instrument: Any = instrument) -> np.ndarray:
            return asyncio.run(read_texts(instrument, texts, Axes((persona.name,))))[persona.name]

        apart, rule = read(others), persona.detection[name]
        one, five = threshold_at(apart, 0.01), threshold_at(apart, 0.05)
        reach = int((apart >= rule.enter).sum())
        print(f"| {name} | 1%: {one.value:.3f}, 5%: {five.value:.3f} | {rule.enter:g} | {reach} of {len(others)} |", end="")
        print("".join(f" {arm} {(read(lines) >= rule.enter).sum()} of {len(lines)};" for arm, lines in arms.items()))


def arms_of(persona: Persona, every: bool) -> Arms:
    """Its lines; with `every` also without each facet, and in each carriage."""
    arms: dict[str, Sequence[str]] = {"as it is": persona.examples}
    raw = persona.model_dump(by_alias=True)
    facets = sorted(set().union(*map(carried_by, persona.written_examples))) if every else []
    arms |= {f"without {facet}": Persona.model_validate(raw | {"without": (facet,)}).examples for facet in facets}
    return arms | {way: Persona.model_validate(raw | {"carried": way}).examples for way in (persona.carriages if every else ())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("name", nargs="*", help="files in conf/persona (default: all)")
    parser.add_argument("--arms", action="store_true", help="also without each facet, and in each carriage")
    chosen, known = parser.parse_args(), shipped()
    sentences = read_labelled(CONF / "labelled.csv")
    for file in chosen.name or known:
        specs, persona = known[file]
        strange = {line for _, other in known.values() if other.name != persona.name for line in other.examples}
        others = [*sentences["text"][sentences["label"] != persona.name], *sorted(strange)]
        print(f"{file}: {len(persona.examples)} lines against {len(others)}")
        measure(specs, persona, others, arms_of(persona, chosen.arms))


if __name__ == "__main__":
    main()
