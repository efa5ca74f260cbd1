"""Check the instruments on labelled sentences, and write the tables and figures of docs/validation.md.

    python benchmarks/validate_instruments.py                      # print the tables
    python benchmarks/validate_instruments.py --write docs         # put them into docs/validation.md, and the figures beside it
    python benchmarks/validate_instruments.py --rated hutto_ICWSM_2014   # also on texts that people rated (docs/validation.md)
    python benchmarks/validate_instruments.py --judge --set observer=judge backend=openai backend.model=…

Thresholds are set on the calibrate half of conf/labelled.csv; every number printed is of the report half. Nothing is tuned here.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
from evidence import HARD, SCALES, STRAIN, Columns, Evidence, draw
from numpy.typing import NDArray
from scipy.special import ndtri

from contagium.agents.backends.backend import Backend
from contagium.agents.backends.budget import Budget
from contagium.agents.backends.stack import CallRules, assemble
from contagium.agents.persona import Persona
from contagium.envs.message import Axes
from contagium.envs.rng import Streams
from contagium.sim.build import build
from contagium.sim.observer.agreement import LEVEL, Measured, share
from contagium.sim.observer.calibration import begun, configuration, read_labelled, read_texts
from contagium.sim.observer.instrument import Instrument
from contagium.sim.observer.roc import auc, marks

SET = Path(__file__).parents[1] / "conf" / "labelled.csv"
GROUPS = {
    "joy": ("joy", "amusement", "excitement", "love", "gratitude", "pride", "optimism"),
    "sadness": ("sadness", "grief", "disappointment", "remorse"),
    "fear": ("fear", "nervousness"),
    "anger": ("anger", "annoyance", "disapproval", "disgust"),
}
"""Which labels of GoEmotions (Demszky et al. 2020) stand for ours; despair counts as sadness, awe has none."""

EMOTION_OF = {"joy": "joy", "sadness": "sadness", "despair": "sadness", "fear": "fear", "anger": "anger", "calm": "", "plain": ""}
RATED = {"tweets": "tweets", "film reviews": "movieReviewSnippets", "product reviews": "amazonReviewSnippets"}
RATED |= {"newspaper editorials": "nytEditorialSnippets"}


async def instruments(
    persona: str, overrides: Sequence[str], judge: bool, stack: AsyncExitStack
) -> tuple[dict[str, Instrument], Persona]:
    """Every instrument of the configuration that can read these texts."""
    specs, found = configuration(persona, overrides)
    made = {}
    for name, spec in specs.items():
        asks = spec.get("backend") or {}
        if asks and not judge:
            continue
        backends: dict[str, Backend] = {}
        for key, one in ({"": asks} if "_target_" in asks else asks).items():
            backend = assemble(build(one, f"{name}.backend"), CallRules(), Budget(), None, print)
            backends[key] = await stack.enter_async_context(backend)
        made[name] = begun(name, specs, found, backends)
    return made, found


def detection_table(evidence: Evidence) -> str:
    lines = [
        "| instrument | area against all | against hard negatives | threshold | recall | precision "
        "| false positives: hard negatives | the rest |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    report, strain, hard = evidence.report, evidence.labelled(STRAIN), evidence.labelled(HARD)
    for name, value in evidence.detectors.items():
        areas = [area(auc(value[chosen], strain[chosen])) for chosen in (report, report & (strain | hard))]
        thresholds = {"hard negatives": evidence.enter(name), "all others": evidence.enter(name, ~strain)}
        if name in evidence.persona.detection:
            enter = evidence.persona.detection[name].enter
            thresholds["persona file"] = enter
        for said, enter in thresholds.items():
            of_all = marks(value[report], strain[report], enter)
            others = [
                marks(value[report & mask], strain[report & mask], enter).false_positive for mask in (hard, ~hard & ~strain)
            ]
            cells = [name, *areas, f"{enter:.3f}, {said}", *(percent(one) for one in (of_all.recall, of_all.precision, *others))]
            lines.append(f"| {' | '.join(cells)} |")
            name, areas = "", ["", ""]
    return "\n".join(lines)


def kinds_table(evidence: Evidence) -> str:
    """Recall by variety of the voice at the threshold set on the other half."""
    detectors = evidence.detectors
    lines = [f"| variety | n | {' | '.join(detectors)} |", f"| --- | --- |{' --- |' * len(detectors)}"]
    for kind in sorted(set(evidence.frame["kind"][evidence.labelled(STRAIN)])):
        chosen = evidence.report & evidence.labelled(STRAIN) & (evidence.frame["kind"] == kind).to_numpy()
        found = [f"{int((value[chosen] >= evidence.enter(name)).sum())}" for name, value in detectors.items()]
        lines.append(f"| {kind.replace('_', ' ')} | {chosen.sum()} | {' | '.join(found)} |")
    return "\n".join(lines)


def affect_table(evidence: Evidence) -> str:
    feeling = ~evidence.labelled(STRAIN, HARD, "plain")
    lines = [
        f"| instrument | {' | '.join(f'{scale}, all | {scale}, emotional' for scale in SCALES)} |",
        f"| --- |{' --- | --- |' * len(SCALES)}",
    ]
    for name, columns in evidence.read.items():
        if any(scale in columns for scale in SCALES):
            cells = []
            for scale in SCALES:
                rating = evidence.frame[scale].to_numpy(float)
                for chosen in (evidence.report, evidence.report & feeling):
                    cells.append(rank(columns[scale][chosen], rating[chosen]) if scale in columns else "–")
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def emotion_table(evidence: Evidence, columns: Columns) -> str:
    """How often the strongest group of labels is the right one, and how well each group tells its label from the others."""
    chosen = evidence.report & evidence.labelled(*EMOTION_OF)
    truth = np.array([EMOTION_OF.get(label, "") for label in evidence.frame["label"]])[chosen]
    scores = np.stack([np.max([columns[f"emotion.{one}"][chosen] for one in group], axis=0) for group in GROUPS.values()])
    best = np.where(np.max(scores, axis=0) > 0, np.array(list(GROUPS))[np.argmax(scores, axis=0)], "")
    lines = ["| label | n | recognised | precision | area against the other labels |", "| --- | --- | --- | --- | --- |"]
    for k, label in enumerate((*GROUPS, "")):
        right, called = truth == label, best == label
        of = area(auc(scores[k], right)) if label else "–"
        hits = int((right & called).sum())
        cells = (percent(share(hits, int(right.sum()))), percent(share(hits, int(called.sum()))), of)
        lines.append(f"| {label or 'none (calm, plain)'} | {right.sum()} | {' | '.join(cells)} |")
    return "\n".join([*lines, f"| **all** | {len(truth)} | {percent(share(int((best == truth).sum()), len(truth)))} | | |"])


async def rated_table(folder: Path, made: dict[str, Instrument], each: int) -> str:
    """Valence against mean human ratings (Hutto & Gilbert 2014), and how well one rater agrees with the mean of all."""
    reads: dict[str, list[str]] = {}
    head, raters = [], []
    for said, stem in RATED.items():
        rows = [line.split("\t", 2) for line in (folder / f"{stem}_GroundTruth.txt").read_text("utf-8", "replace").splitlines()]
        drawn = Streams(1).generator(f"rated {stem}").permutation(len(rows))[:each]
        texts, rating = [rows[i][2] for i in drawn], np.array([float(rows[i][1]) for i in drawn])
        head.append(f"{said} (n = {len(texts)})")
        raters.append(f"{_one_rater(folder / f'{stem}_anonDataRatings.txt'):.2f}")
        for name, instrument in made.items():
            columns = _known(await read_texts(instrument, texts, Axes((STRAIN,))))
            if "valence" in columns:
                reads.setdefault(name, []).append(rank(columns["valence"], rating))
    lines = [f"| instrument | {' | '.join(head)} |", f"| --- |{' --- |' * len(head)}"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in reads.items()]
    return "\n".join([*lines, f"| one person with the others' mean | {' | '.join(raters)} |"])


def _one_rater(path: Path) -> float:
    """Mean rank correlation of one rating of each text with the mean of its others."""
    lines = [line.split("\t") for line in path.read_text("utf-8", "replace").splitlines()]
    found = [[int(one) for one in re.findall(r"-?\d+", cells[3])] for cells in lines if len(cells) == 4]
    total = np.array([sum(row) for row in found], dtype=float)
    others = np.array([len(row) - 1 for row in found])
    ones = np.array([row[: min(map(len, found))] for row in found], dtype=float)
    return float(np.mean([_spearman(one, (total - one) / others) for one in ones.T]))


def _spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(one, other)[0])


def rank(readings: NDArray[np.float64], ratings: NDArray[np.float64]) -> str:
    """Spearman's correlation with the 95% interval of Bonett & Wright (2000); texts that could not be read are left out."""
    good = np.isfinite(readings)
    n, r = int(good.sum()), _spearman(readings[good], ratings[good])
    reach = float(ndtri((1 + LEVEL) / 2)) * np.sqrt((1 + r * r / 2) / (n - 3))
    return f"{r:.2f} ({np.tanh(np.arctanh(r) - reach):.2f} to {np.tanh(np.arctanh(r) + reach):.2f})"


def area(found: Measured) -> str:
    return f"{found.value:.3f}" + ("" if found.low is None else f" ({found.low:.3f} to {found.high:.3f})")


def percent(found: Measured) -> str:
    return (
        "–"
        if found.value is None
        else f"{round(found.value * found.n)}/{found.n} = {found.value:.0%} ({found.low:.1%} to {found.high:.1%})"
    )


def _known(columns: Columns) -> Columns:
    """Those columns in which anything could be read."""
    return {column: value for column, value in columns.items() if np.isfinite(value).any()}


def put(page: Path, tables: dict[str, str]) -> None:
    """Each table into its place in the page, between `<!-- table: name -->` and `<!-- end -->`."""
    text = page.read_text("utf-8")
    for name, table in tables.items():
        place = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not place.search(text):
            raise SystemExit(f"{page} has no place for the table {name}")
        text = place.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)  # type: ignore[misc]
    page.write_text(text, "utf-8")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, metavar="DOCS", help="folder of validation.md, and of figures/")
    parser.add_argument("--rated", type=Path, metavar="FOLDER", help="the folder hutto_ICWSM_2014 of vaderSentiment's source")
    parser.add_argument("--each", type=int, default=1000, help="texts drawn of each rated kind (default: %(default)s)")
    parser.add_argument("--judge", action="store_true", help="also instruments that ask a language model")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="overrides of the configuration")
    chosen = parser.parse_args()
    async with AsyncExitStack() as stack:
        made, persona = await instruments(STRAIN, chosen.set, chosen.judge, stack)
        frame = read_labelled(SET)
        texts = frame["text"].tolist()
        read = {name: await read_texts(instrument, texts, Axes((STRAIN,))) for name, instrument in made.items()}
        evidence = Evidence(frame, {name: known for name, columns in read.items() if (known := _known(columns))}, persona)
        tables: dict[str, Any] = {"detection": detection_table(evidence), "kinds": kinds_table(evidence)}
        tables["affect"] = affect_table(evidence)
        for columns in evidence.read.values():
            if "emotion.joy" in columns:
                tables["emotions"] = emotion_table(evidence, columns)
        if chosen.rated:
            tables["rated"] = await rated_table(chosen.rated, made, chosen.each)
    for name, table in tables.items():
        print(f"{name}\n{table}\n")
    if chosen.write:
        put(chosen.write / "validation.md", tables)
        draw(evidence, chosen.write / "figures")


if __name__ == "__main__":
    asyncio.run(main())
