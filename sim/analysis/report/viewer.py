"""What the viewer of the page shows: the network, everybody's compartments, what was said and heard, and why cases are cases."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.sim.analysis.figures.layout import NetworkLayout, network_layout
from contagium.sim.analysis.figures.style import AFFECT_COLOURS, AFFECT_STYLES, COLOURS, NAMES, OTHER, OTHER_SHAPE, SHAPES, STYLES
from contagium.sim.analysis.findings import Findings
from contagium.sim.analysis.report.cases import Explained, explain
from contagium.sim.analysis.report.sections import Curve, known, told
from contagium.sim.analysis.spread.epidemic import CASES, ORDER, measure_of
from contagium.sim.analysis.text import clip, visible
from contagium.sim.log import Run

NONE = -999
"""Stands for a reading that there is not."""

GOLDEN = 0.6180339887498949
INK = "#1b1f24"
REMARK = 400
"""Letters of a thought or a reason that the page holds."""


@dataclass(frozen=True)
class Limits:
    """How much the page holds: agents that are drawn, ties, rows of messages and exposures, letters of what was said."""

    agents: int = 2_000
    ties: int = 20_000
    messages: int = 450_000
    exposures: int = 450_000
    letters: int = 4_000_000
    text: int = 2_000
    remarks: int = 40_000


LIMITS = Limits()


def viewer_data(
    run: Run,
    found: Findings,
    curves: Sequence[Curve] = (),
    confirmed: Mapping[tuple[str, int, int], str] | None = None,
    limits: Limits = LIMITS,
) -> dict[str, Any]:
    """Everything the script of the page draws, as plain JSON values; texts are made visible, the page only shows them.

    confirmed: (strain, source, target) → what a counterfactual test of that edge found, in words. Of a run too large for a page
    some agents, and of these first those that never were a case, go without what they said or heard; the page says so.
    """
    network = _network(run, found, limits.agents)
    strains = [explain(run, found, name, confirmed or {}, limits.agents) for name in found.strains]
    rows = _rows(run, network, strains, limits.agents)
    place = pd.Series(np.arange(len(rows)), index=rows)
    order = _order(rows, strains)
    evidence = np.unique(np.concatenate([one.messages for one in strains])) if strains else np.empty(0, np.int64)
    messages, silent = _messages(run, found, place, order, evidence, limits.messages)
    heard, deaf = _heard(run, messages, place, order, limits.exposures)
    numbers, texts = _texts(messages, evidence, limits)
    number_of = dict(zip(messages["id"].tolist(), numbers, strict=True))
    measures, kinds = _measures(run, found), _compartments(strains)
    codes = [kind["code"] for kind in kinds]
    return {
        "steps": found.steps,
        **_people(run, found, rows, network, strains, limits),
        "compartments": kinds,
        "strains": [one.told(place, number_of, codes) for one in strains],
        "measures": [told_of for _, told_of in measures],
        "messages": _columns(messages, place, [name for name, _ in measures], numbers),
        "heard": heard,
        "texts": texts,
        "remarks": _remarks(run, place, limits.remarks),
        "pressure": _pressure(run),
        "left": {"said": silent, "heard": deaf},
        "notes": _notes(run, found, network, limits),
        "charts": [told_of for name, curve in (found.affect | found.measures).items() if (told_of := _chart(name, curve, found))],
        "curves": [told(curve) for curve in curves],
    }


def _network(run: Run, found: Findings, limit: int) -> NetworkLayout:
    """The network of the figures, or, where that is a part, one of more agents."""
    if len(found.network.agents) in (found.network.total, limit):
        return found.network
    index = found.chains.cases.loc[found.chains.cases["index"], "agent"].to_numpy(np.int64)
    return network_layout(run, index, seed=int(run.meta["seed"]), limit=limit)


def _rows(run: Run, network: NetworkLayout, strains: Sequence[Explained], limit: int) -> NDArray[np.int64]:
    """Ids of the agents on the page: first those drawn, then the others of the trees, then others logged in detail."""
    detailed = run.agents.loc[run.agents["detailed"] == 1, "id"].to_numpy(np.int64)
    more = np.concatenate([*(one.tree.cases["agent"].to_numpy(np.int64) for one in strains), detailed[:limit]])
    every = np.concatenate([network.agents, more])
    return every[np.sort(np.unique(every, return_index=True)[1])]


def _order(rows: NDArray[np.int64], strains: Sequence[Explained]) -> NDArray[np.int64]:
    """Agents as they are taken where not all fit: cases before others, each kind evenly from first to last."""
    cases = np.unique(np.concatenate([one.cases["agent"].to_numpy(np.int64) for one in strains])) if strains else rows[:0]
    ill = np.isin(rows, cases)
    return np.concatenate([part[evenly(len(part))] for part in (rows[ill], rows[~ill])])


def evenly(count: int) -> NDArray[np.int64]:
    """An order (count,) of places such that the first few of it, however many, lie evenly from first to last."""
    return np.argsort((np.arange(count) * GOLDEN) % 1, kind="stable")


def _taken(order: NDArray[np.int64], counts: pd.Series, budget: int) -> NDArray[np.int64]:
    """The agents of `order` whose rows fit, one after the other, into the budget. counts: agent → rows."""
    return order[np.cumsum(counts.reindex(order, fill_value=0).to_numpy()) <= budget]


def _messages(
    run: Run, found: Findings, place: pd.Series, order: NDArray[np.int64], evidence: NDArray[np.int64], budget: int
) -> tuple[pd.DataFrame, list[int]]:
    """Messages of the page by sender and step, and the rows of the agents whose others are left out."""
    table = run.messages
    table = table[table["sender"].isin(place.index)]
    taken = _taken(order, table["sender"].value_counts(), budget)
    if len(taken) < len(order):
        table = table[table["sender"].isin(taken) | table["id"].isin(evidence)]
    table = table.assign(row=place[table["sender"]].to_numpy())
    return table.sort_values(["row", "step"], kind="stable", ignore_index=True), _without(place, taken)


def _without(place: pd.Series, taken: NDArray[np.int64]) -> list[int]:
    return sorted(place[~place.index.isin(taken)].tolist())


def _heard(
    run: Run, messages: pd.DataFrame, place: pd.Series, order: NDArray[np.int64], budget: int
) -> tuple[dict[str, Any], list[int]]:
    """What each agent received, by agent and step: the message's place in `messages`, or −1 − its sender's number."""
    ((logged,),) = run.rows("SELECT count(*) FROM exposure")
    listeners = max(1, int((run.agents["detailed"] == 1).sum()))
    taken = order[: max(1, int(budget / max(1.0, logged / listeners)))] if logged > budget else order
    query = "SELECT agent, step, message, source FROM exposure WHERE agent IN (SELECT value FROM json_each(?))"
    dtype = [(name, "i8") for name in ("agent", "step", "message", "source")]
    rows = run.numbers(query, dtype, (json.dumps(taken.tolist()),))
    row = place[rows["agent"]].to_numpy(np.int64)
    rows, row = (column[np.lexsort((rows["step"], row))] for column in (rows, row))
    ids = messages["id"].to_numpy(np.int64)
    by_id = np.argsort(ids, kind="stable")
    at = np.searchsorted(ids, rows["message"], sorter=by_id)
    at = by_id[np.minimum(at, len(ids) - 1)] if len(ids) else np.full(len(rows), -1)
    what = np.where(ids[at] == rows["message"], at, -1 - rows["source"]) if len(ids) else -1 - rows["source"]
    start = np.searchsorted(row, np.arange(len(place) + 1))
    return {"start": start.tolist(), "step": rows["step"].tolist(), "what": what.tolist()}, _without(place, taken)


def _texts(messages: pd.DataFrame, evidence: NDArray[np.int64], limits: Limits) -> tuple[list[int], list[str]]:
    """For each message the number of its text (−1: there are no words, −2: left out), and the texts, each once.

    Within the budget come those that are evidence of a case or candidate causes, then others evenly.
    """
    code, texts = pd.factorize(messages["text"])
    ready = [_shown(text, limits.text) for text in texts]
    first = np.flatnonzero(np.isin(messages["id"], evidence))
    wanted = pd.unique(code[np.concatenate([first, evenly(len(messages))])])
    wanted = wanted[wanted >= 0]
    fits = wanted[np.cumsum([len(ready[k]) for k in wanted]) <= limits.letters] if len(wanted) else wanted
    number = np.full(len(ready) + 1, -2)
    number[-1], number[fits] = -1, np.arange(len(fits))
    return number[code].tolist(), [ready[k] for k in fits]


def _shown(text: str, limit: int) -> str:
    text = clip(text, limit)
    return text if text.replace("\n", " ").isprintable() else visible(text)


def _columns(messages: pd.DataFrame, place: pd.Series, measures: Sequence[str], texts: list[int]) -> dict[str, Any]:
    start = np.searchsorted(messages["row"].to_numpy(), np.arange(len(place) + 1))
    return {
        "start": start.tolist(),
        "id": messages["id"].tolist(),
        "step": messages["step"].tolist(),
        "sender": messages["row"].tolist(),
        "withheld": np.flatnonzero(messages["withheld"]).tolist(),
        "text": texts,
        "values": [_hundredths(messages[name]) for name in measures],
    }


def _hundredths(values: pd.Series) -> list[int]:
    scaled = (values.to_numpy(np.float64) * 100).round()
    return np.where(np.isnan(scaled), NONE, scaled).astype(np.int64).tolist()


def _measures(run: Run, found: Findings) -> list[tuple[str, dict[str, Any]]]:
    """The measures of a message that the page tells of: those of the strains and states, each beside its own, and affect."""
    names = {measure_of(run, name): k for k, name in enumerate(found.strains)}
    chosen = [axis for axis in run.meta["axis_instruments"] if axis in names or axis in AFFECT_COLOURS]
    return [
        (
            axis,
            {
                "name": visible(axis),
                "colour": INK if axis in names else AFFECT_COLOURS[axis],
                "dash": "-" if axis in names else {"-": ":"}.get(AFFECT_STYLES[axis], AFFECT_STYLES[axis]),
                **({"mine": names[axis]} if axis in names and axis not in AFFECT_COLOURS else {}),
            },
        )
        for axis in chosen
    ]


def _people(
    run: Run,
    found: Findings,
    rows: NDArray[np.int64],
    network: NetworkLayout,
    strains: Sequence[Explained],
    limits: Limits,
) -> dict[str, Any]:
    """Names, groups and places of the agents, and ties between those drawn."""
    about = run.agents.set_index("id").reindex(rows)
    group, groups = pd.factorize(about["group"].fillna("not logged"))
    spread = network.position - network.position.min(axis=0, initial=np.inf) if len(network.agents) else network.position
    scale = 10_000 / max(float(spread.max(initial=0.0)), 1e-9)
    spots = (spread * scale).round().astype(np.int64)
    ties = network.edges if len(network.edges) <= limits.ties else network.edges[:0]
    named = {int(a) for one in strains for a in one.sources} - set(rows.tolist())
    return {
        "agents": {
            "id": rows.tolist(),
            "name": [visible(found.names[agent]) for agent in rows.tolist()],
            "group": group.tolist(),
            "x": spots[:, 0].tolist(),
            "y": spots[:, 1].tolist(),
            "detailed": (about["detailed"] == 1).astype(int).tolist(),
        },
        "groups": [visible(str(name)) for name in groups],
        "others": {str(agent): visible(found.names[agent]) for agent in sorted(named)},
        "drawn": len(network.agents),
        "extent": spots.max(axis=0, initial=0).tolist(),
        "edges": ties.ravel().tolist(),
    }


def _compartments(strains: Sequence[Explained]) -> list[dict[str, Any]]:
    """What compartments are called and look like; all that occur, in the order in which they are listed."""
    seen = {"S", "I"}.union(*(one.compartments for one in strains))
    return [
        {
            "code": code,
            "name": NAMES.get(code, visible(code)),
            "colour": COLOURS.get(code, OTHER),
            "shape": SHAPES.get(code, OTHER_SHAPE),
            "dash": style if isinstance(style := STYLES.get(code, ":"), str) else ":",
            "ill": code in CASES,
        }
        for code in (*(c for c in ORDER if c in seen), *sorted(seen - set(ORDER)))
    ]


def _remarks(run: Run, place: pd.Series, most: int) -> dict[str, list[tuple[int, str, str]]]:
    """By row: step, kind and words of what else is known of an agent: feelings, thoughts, choices, turns that are missing."""
    sources: tuple[tuple[str, str, str], ...] = (
        ("turn", "status", "reason"),
        ("report", "feels", "feeling"),
        ("thought", "thinks", "text"),
        ("choice", "chooses", "choice"),
    )
    found: dict[str, list[tuple[int, str, str]]] = {}
    for table, kind, column in sources:
        rows = run.table(table)
        rows = rows[rows["agent"].isin(place.index) & rows[column].notna()].head(most)
        kinds: Iterable[str] = rows[kind] if kind in rows else [kind] * len(rows)
        for agent, step, what, text in zip(rows["agent"], rows["step"], kinds, rows[column], strict=True):
            found.setdefault(str(place[agent]), []).append((int(step), str(what), _shown(str(text), REMARK)))
    return found


def _pressure(run: Run) -> list[tuple[int, str]]:
    table = run.table("pressure")
    columns = (table[name].tolist() for name in ("step", "event", "pressed"))
    return [(step, f"{visible(event)} presses on {pressed} agents") for step, event, pressed in zip(*columns, strict=True)]


def _chart(name: str, curve: pd.DataFrame, found: Findings) -> dict[str, Any] | None:
    """The course of a measure: mean and a band of one standard deviation over messages."""
    if curve.empty:
        return None
    mean, sd = curve["mean"], curve["sd"]
    line = {"name": "mean", "colour": AFFECT_COLOURS.get(name, COLOURS["H"]), "dash": "-", "y": known(mean.tolist())}
    line |= {"low": known((mean - sd).tolist()), "high": known((mean + sd).tolist())}
    by = ", ".join(found.instruments.get(name, []))
    says = f"Mean over messages and one standard deviation{f', by {by}' if by else ''}"
    return {"title": visible(name), "says": says, "unit": "", "x": [int(s) for s in curve.index], "lines": [line]}


def _notes(run: Run, found: Findings, network: NetworkLayout, limits: Limits) -> list[str]:
    """What the viewer does not show, in words."""
    notes = []
    if len(network.agents) < run.size:
        notes.append(f"Drawn are {len(network.agents):,} of {run.size:,} agents, breadth first around the first index cases.")
    if len(network.edges) > limits.ties:
        notes.append(f"Their {len(network.edges):,} ties are too many to draw.")
    if not len(network.edges):
        notes.append("No ties between agents are logged.")
    if found.sample:
        notes.append(f"Messages, exposures and readings are known of {found.sample}.")
    return notes
