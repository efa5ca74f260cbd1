"""Blind detection: without being told the strain, which wording, style or meaning spreads on this network more than chance?

    python -m contagium.sim.analysis.blind RUN_DIR

Reads only who said what and who heard it. docs/blind.md says how, and how well it works.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csc_matrix

from contagium.agents.weights import MINILM, cached
from contagium.envs.message import SHOWN
from contagium.envs.rng import Streams
from contagium.sim.analysis.blind.features import Encode
from contagium.sim.analysis.blind.search import LEVEL, PERMUTATIONS, WINDOW, Blind, Trace, search, with_words
from contagium.sim.analysis.blind.uptake import contacts, uptake
from contagium.sim.analysis.spread.epidemic import chosen_strain, onsets
from contagium.sim.analysis.text import clip, html_said, html_text, visible
from contagium.sim.log import LogError, Run, open_run
from contagium.sim.observer.language.vectors import vectors
from contagium.sim.observer.observer import STATED
from contagium.sim.observer.roc import area

TEXTS = 5000
"""Distinct texts up to which meaning is looked at: the encoder reads some 60 a second."""

TOLD = 8
"""Features told of where people read, the foremost of those found."""


@dataclass(frozen=True)
class Oracle:
    """The search beside one that knows the strain.

    agents, cases: how many agents spoke, how many of them ever were a case. auc_blind, auc_oracle: how well an agent's greatest
    weight, and its greatest reading of the strain, tell cases from others; NaN where all or none are cases, and an agent of whom
    no reading succeeded does not count in the second. The readings made the cases where `kind` is "case", which flatters the
    second. score, p, ratio: the same test of the one feature "shows the strain", to be held against `Blind.evidence`.
    """

    strain: str
    kind: str
    agents: int
    cases: int
    auc_blind: float
    auc_oracle: float
    score: float
    p: float
    ratio: float


def blind(
    run: Run, window: int = WINDOW, permutations: int = PERMUTATIONS, seed: int | None = None, meaning: bool = True
) -> Blind:
    """Search a run. seed: of the permutations, by default the run's own. meaning: use the sentence encoder, if it is at hand."""
    messages = run.messages
    encode = _encoder(messages["text"].nunique()) if meaning else "it was not asked for"
    streams = Streams(int(run.meta["seed"]) if seed is None else seed)
    return search(messages, run.exposures, window, permutations, streams, encode)


def _encoder(texts: int) -> Encode | str:
    """The sentence encoder, where its weights are on this machine already, or why not."""
    if not texts:
        return "there are no words"
    if texts > TEXTS:
        return f"there are {texts} texts, more than {TEXTS}"
    if not cached(MINILM):
        return "the weights of the sentence encoder are not on this machine"
    known = vectors()  # what the observer has read in this process is not encoded again
    return lambda said: known(said)[:, -1]


def oracle(run: Run, found: Blind, strain: str | None = None) -> Oracle:
    """What one who knows the strain sees in the same run. LogError: no such strain.

    Cases are those of a policy's own truth where it is logged, else of the case definition; index cases are among them.
    """
    strain, said = chosen_strain(run, strain), with_words(run.messages)
    latent = ((run.transitions["kind"] == "latent") & (run.transitions["strain"] == strain)).any()
    kind = "latent" if latent else "case"
    speakers = np.unique(said["sender"])
    case = np.isin(speakers, onsets(run, strain, kind)["agent"])
    read = said[strain] if strain in said else pd.Series(np.nan, index=said.index)
    weight = said["id"].map(found.weights).fillna(0.0)
    by_agent = pd.DataFrame({"blind": weight, "oracle": read}).groupby(said["sender"]).max()
    score, p, ratio = _knowing(run, said, strain, found)
    blindly, known = by_agent["blind"].to_numpy(), by_agent["oracle"].to_numpy()
    was_read = ~np.isnan(known)
    by_words = area(blindly[case], blindly[~case])
    by_reading = area(known[case & was_read], known[~case & was_read])
    return Oracle(strain, kind, len(speakers), int(case.sum()), by_words, by_reading, score, p, ratio)


def _knowing(run: Run, said: pd.DataFrame, strain: str, found: Blind) -> tuple[float, float, float]:
    """Score, p and ratio of the one feature "shows the strain"."""
    if said.empty:
        return float("nan"), float("nan"), float("nan")
    shows = csc_matrix(said["id"].isin(_showing(run, strain)).to_numpy()[:, None])
    streams = Streams(int(run.meta["seed"])).generator("blind oracle")
    tested = uptake(contacts(said, run.exposures, found.window), shows, found.permutations, streams)
    return float(tested.score[0]), float(tested.p_alone[0]), float(tested.ratio[0])


def _showing(run: Run, strain: str) -> pd.Series:
    """Ids of the messages that show the strain: the best instrument that read one decides, by its own threshold."""
    rule = run.meta.get("detection", {}).get(strain)
    enter = {STATED: SHOWN} | ({rule["instrument"]: float(rule["enter"])} if rule else {})
    instruments = [name for name in run.meta["axis_instruments"].get(strain, ()) if name in enter]
    read = [run.read(name, strain).assign(enter=enter[name]) for name in instruments]
    if not read:
        return pd.Series([], dtype=np.int64)
    first = pd.concat(read).dropna(subset=["value"]).drop_duplicates("id")
    return first.loc[first["value"] >= first["enter"], "id"]


def blind_section(found: Blind, beside: Oracle | None, names: Mapping[int, str]) -> str:
    """What was found as HTML for the report, without its heading. names: agent → name."""
    head = "".join(f"<th>{column}</th>" for column in ("what", "p", "times likelier once heard", "agents", "first", "an example"))
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(trace, names))}</tr>" for trace in found.traces[:TOLD])
    table = f"<table><tr>{head}</tr>{rows}</table>" if rows else ""
    facts = "".join(f'<p class="soft">{html_text(line)}</p>' for line in _facts(found, beside))
    return f"<p>{html_text(headline(found))}</p>{table}{facts}"


def _cells(trace: Trace, names: Mapping[int, str]) -> tuple[str, ...]:
    who = ", ".join(clip(names[agent], 40) for agent in trace.first[:3]) + (" …" if len(trace.first) > 3 else "")
    return (
        html_said(_title(trace)),
        f"{trace.p:.3f}",
        f"{trace.ratio:.1f} ({trace.low:.1f} to {trace.high:.1f})",
        str(trace.agents),
        html_text(f"step {trace.first_step}: {who}"),
        html_said(clip(trace.example, 200)),
    )


def _title(trace: Trace) -> str:
    more = f" (with {', '.join(clip(name, 40) for name in trace.together[:3])})" if trace.together else ""
    return clip(trace.name, 80) + more


def headline(found: Blind) -> str:
    """One sentence: how much spreads, of how much."""
    if not found.traces:
        return "Nothing could be tested: no wording or style was taken up often enough by agents of whom only some had heard it."
    count = len(found.spreading)
    what = f"{count} of the {len(found.traces)} foremost features spread" if count else "No feature spreads"
    return f"{what} from agent to agent more than chance, of {found.tested} tested (p < {LEVEL:g}, all of them taken together)."


def _facts(found: Blind, beside: Oracle | None) -> list[str]:
    lines = []
    if beside is not None and beside.agents:
        told = (
            f"are told from others with AUC {_number(beside.auc_blind)} blindly and {_number(beside.auc_oracle)} by readings of "
            "the strain."
            if 0 < beside.cases < beside.agents
            else "cannot be told from others, for there are either only cases or none."
        )
        lines.append(
            f"Beside one who knows the strain: cases of {beside.strain} ({beside.cases} of {beside.agents} agents) {told} "
            f"Score of the strain itself: {_number(beside.score)}; of the foremost feature: {_number(found.evidence)}."
        )
    if found.rising:
        lines.append(f"Commoner late than early, for whatever reason: {', '.join(clip(name, 40) for name in found.rising[:10])}.")
    lines.append("A tie between agents who are alike, or a cause that reaches only some, looks the same as contagion.")
    return [*lines, *(f"Left out: {what}." for what in found.left_out)]


def _number(value: float) -> str:
    return "not defined" if np.isnan(value) else f"{value:.2f}"


def told(found: Blind, beside: Oracle | None) -> str:
    """What was found as lines of plain text."""
    lines = [headline(found)]
    for trace in found.traces[:TOLD]:
        name = visible(_title(trace)).replace("\n", " ").replace("\t", " ")
        lines.append(
            f"p {trace.p:.3f}  score {trace.score:5.2f}  ratio {trace.ratio:5.1f} ({trace.low:.1f} to {trace.high:.1f})  "
            f"{trace.agents:3d} agents from step {trace.first_step}  {trace.kind}: {name}"
        )
    return "\n".join([*lines, *(visible(line) for line in _facts(found, beside))])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Status 2 and one line for a run that cannot be read or a value that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m contagium.sim.analysis.blind", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="directory of a run, finished, interrupted or killed")
    parser.add_argument("--strain", help="the strain the search is held against, by default the run's first")
    parser.add_argument("--window", type=int, default=WINDOW, help=f"steps for which what was heard counts ({WINDOW})")
    parser.add_argument("--permutations", type=int, default=PERMUTATIONS, help=f"({PERMUTATIONS})")
    parser.add_argument("--seed", type=int, help="of the permutations, by default the run's own")
    parser.add_argument("--no-meaning", dest="meaning", action="store_false", help="words and style alone, without the encoder")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    chosen = parser.parse_args(arguments)
    try:
        run = open_run(chosen.run)
        found = blind(run, chosen.window, chosen.permutations, chosen.seed, chosen.meaning)
        beside = oracle(run, found, chosen.strain) if run.meta.get("strains") else None
    except (LogError, OSError, ValueError) as error:
        print(f"contagium: {error}", file=sys.stderr)
        return 2
    everything = {"blind": asdict(found), "oracle": beside and asdict(beside)}
    print(json.dumps(_plain(everything), ensure_ascii=False) if chosen.json else told(found, beside))
    return 0


def _plain(value: Any) -> Any:
    """The same as JSON can say it: NaN is null, keys are strings."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
