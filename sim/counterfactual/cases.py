"""Which cases of a run can be replayed, and what their agents may have caught them from; all read from the log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from contagium.envs.rng import Streams
from contagium.sim.analysis.spread.epidemic import chosen_strain, last_step
from contagium.sim.counterfactual.turn import Recorded
from contagium.sim.reading import Run

NOBODY = "nobody the agent heard showed the strain"
"""Why a case without a candidate cause cannot be replayed."""


class Refusal(Exception):
    """What cannot be done with this run, and why, in one line."""


@dataclass(frozen=True)
class Heard:
    """A message that an agent heard. probability: that it is the cause, as the observer shares it out; 0 for no candidate.

    text: None where it had no words.
    """

    message: int
    source: int
    step: int
    probability: float
    text: str | None


@dataclass(frozen=True)
class Case:
    """The beginning of a case. onset: step of the first sign, whose turn is replayed. candidates: likeliest first."""

    transition: int
    strain: str
    agent: int
    onset: int
    candidates: tuple[Heard, ...]


def case(run: Run, transition: int) -> Case:
    """The case that begins with a transition. Refusal says why there is none that could be replayed."""
    table = run.transitions
    found = table[table["id"] == transition]
    if found.empty:
        there = f"there are {table['id'].min()} to {table['id'].max()}" if len(table) else "there are none"
        raise Refusal(f"no transition {transition} in {run.path}: {there}")
    row = next(found.itertuples(index=False))
    called = f"transition {transition}"
    if row.step < 0:
        raise Refusal(f"{called} is an index case: agent {row.agent} had the strain from the start")
    if row.kind != "case":
        raise Refusal(f"{called} is a move of a mechanistic agent's own state: there is no text to replay")
    if row.target != "I" or row.origin == "H":
        raise Refusal(f"{called} is a move from {row.origin} to {row.target}: only what begins a case by messages is replayed")
    candidates = _candidates(run, transition)
    if not candidates:
        raise Refusal(f"{called} has no candidate causes: agent {row.agent} had heard nothing that shows {row.strain}")
    return Case(transition, str(row.strain), int(row.agent), int(row.onset), candidates)


def cases(
    run: Run, strain: str | None, most: int | None, why_not: Callable[[int], str | None] = lambda agent: None
) -> tuple[list[Case], Counter[str]]:
    """The cases of a strain, or `most` of them drawn evenly, and how many more there are that cannot be replayed, by reason.

    why_not: says of an agent why its turns cannot be had again, None where they can.
    """
    name, table = chosen_strain(run, strain), run.transitions
    begin = (table["strain"] == name) & (table["kind"] == "case") & (table["target"] == "I") & (table["origin"] != "H")
    ids, agents = (table.loc[begin & (table["step"] >= 0), name].to_numpy(np.int64) for name in ("id", "agent"))
    known = np.isin(ids, run.causes_of(ids)["transition_id"].unique())
    reasons = [why_not(agent) if heard else NOBODY for agent, heard in zip(agents.tolist(), known.tolist(), strict=True)]
    there = ids[np.array([reason is None for reason in reasons], dtype=np.bool_)]
    if most is not None and most < len(there):
        there = np.sort(Streams(run.meta["seed"]).generator("counterfactual cases").permutation(there)[:most])
    return [case(run, int(transition)) for transition in there], Counter(filter(None, reasons))


def _candidates(run: Run, transition: int) -> tuple[Heard, ...]:
    causes = run.causes_of(np.array([transition]))
    # A message heard twice is taken away twice.
    of = causes.groupby("message", as_index=False).agg({"source": "first", "step": "max", "probability": "sum"})
    of = of.sort_values(["probability", "message"], ascending=[False, True])
    texts = _texts(run, of["message"].tolist())
    return tuple(
        Heard(int(r.message), int(r.source), int(r.step), float(r.probability), texts.get(int(r.message)))
        for r in of.itertuples()
    )


def others(run: Run, of: Case, window: int) -> list[Heard]:
    """What the agent heard in the steps before its onset beside the candidates, in words; the newest first."""
    known = {one.message for one in of.candidates}
    heard = run.rows(
        "SELECT e.message, e.source, MAX(e.step), m.text FROM exposure e JOIN message m ON m.id = e.message"
        " WHERE e.agent = ? AND e.step >= ? AND e.step < ? AND m.text IS NOT NULL GROUP BY e.message ORDER BY 3 DESC, 1 DESC",
        (str(of.agent), str(of.onset - window), str(of.onset)),
    )
    return [Heard(message, source, step, 0.0, text) for message, source, step, text in heard if message not in known]


def earlier(run: Run, of: Heard, most: int) -> list[str]:
    """What the sender of a message said before it, the newest first."""
    query = "SELECT text FROM message WHERE sender = ? AND id < ? AND text IS NOT NULL ORDER BY id DESC LIMIT ?"
    return [text for (text,) in run.rows(query, (str(of.source), str(of.message), str(most)))]


def recorded(run: Run, agent: int, until: int) -> Recorded:
    """The calls made for an agent up to a step."""
    query = "SELECT step, purpose, request_key FROM call WHERE agent = ? AND step <= ? ORDER BY rowid"
    keys: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for step, purpose, key in run.rows(query, (str(agent), str(until))):
        keys[step, purpose].append(key)
    return keys


def steps_done(run: Run) -> int:
    """How many steps the log holds."""
    return last_step(run) + 1


def _texts(run: Run, messages: list[int]) -> dict[int, str]:
    marks = ", ".join("?" * len(messages))
    rows = run.rows(f"SELECT id, text FROM message WHERE id IN ({marks}) AND text IS NOT NULL", tuple(map(str, messages)))
    return dict(rows)
