"""What came of replaying turns: kept as signs, told as edges with intervals."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contagium.agents.policy import name_of
from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.shares import holm
from contagium.sim.analysis.tables import Table, number
from contagium.sim.build import first_error
from contagium.sim.counterfactual.effect import Signs, difference, share
from contagium.sim.counterfactual.variants import VARIANTS
from contagium.sim.files import put
from contagium.sim.reading import LogError, Run

FOLDER, NAME, VERSION = "counterfactual", "results.json", 1
ALPHA = 0.05
HEAD = (
    *("case", "agent", "step", "message", "from", "P(cause)", "done to it"),
    *("P(sign) as it was", "changed", "difference", "p", "confirmed"),
)


Id = Annotated[int, Field(ge=0)]
Kept = Annotated[int, Field(ge=0, le=1)] | None
"""1: a sign of the case, 0: none, None: no reply or no reading."""


@dataclass(frozen=True)
class Sampled:
    """The replies to one variant of a turn, as kept, sample by sample; read back, they are checked against this.

    onset: the step of the turn. probability: may exceed 1 by what rounding adds. text: what a message became. reason: why there
    are none.
    """

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    transition: Id
    strain: str
    agent: Id
    onset: Id
    variant: str
    messages: tuple[Id, ...]
    sources: tuple[Id, ...]
    probability: Annotated[float, Field(ge=0, le=1.001)]
    baseline: tuple[Kept, ...]
    changed: tuple[Kept, ...]
    text: str | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {self.variant[:40]!r}")
        for name in ("messages", "sources"):
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise ValueError(f"{name} must differ from each other")
        if bool(self.messages) != bool(self.sources) or not (self.messages or self.reason):
            raise ValueError("there must be messages and their sources, or a reason why there are none")
        if len(self.changed) != (0 if self.reason is not None else len(self.baseline)):
            raise ValueError(f"baseline and changed must be equally many, got {len(self.baseline)} and {len(self.changed)}")

    @property
    def key(self) -> tuple[int, str, tuple[int, ...]]:
        return self.transition, self.variant, self.messages


@dataclass(frozen=True)
class Edge:
    """What changing a message did to the probability that an agent shows the first sign of a case in its turn at `onset`.

    variant: what was done to `messages` of `sources`: "masked", "neutral", "paraphrased", or "placebo", where they show nothing.
    baseline, changed: P(sign) with the request as it was, and changed. effect: baseline − changed, with p of none; adjusted:
    that p after Holm among all edges of the variant. confirmed: the interval lies above 0 and the adjusted p is at most 0.05;
    None where there is no interval. probability: what the observer had made of the messages. missing: samples of either that
    brought no reply, or one that could not be read. names: of the agent and of each source, where they are known.
    """

    transition: int
    strain: str
    agent: int
    onset: int
    variant: str
    messages: tuple[int, ...]
    sources: tuple[int, ...]
    probability: float
    baseline: Estimate
    changed: Estimate
    effect: Estimate
    p: float | None
    adjusted: float | None
    confirmed: bool | None
    missing: int
    text: str | None = None
    names: tuple[str, ...] = ()


def edges(sampled: Sequence[Sampled]) -> list[Edge]:
    """The edges of what was sampled, by case, in the order in which they were tried."""
    found = [_edge(one) for one in sampled]
    for variant in {edge.variant for edge in found}:
        # All messages of a case together are no edge beside the others, but a question of their own.
        for joint in (False, True):
            at = [k for k, e in enumerate(found) if e.variant == variant and (len(e.messages) > 1) == joint and e.p is not None]
            for k, p in zip(at, holm([found[k].p for k in at]), strict=True):
                low = found[k].effect.low
                found[k] = replace(found[k], adjusted=p, confirmed=low is not None and low > 0 and p is not None and p <= ALPHA)
    return found


def _edge(of: Sampled) -> Edge:
    first, second = _signs(of.baseline), _signs(of.changed)
    told = {name: getattr(of, name) for name in ("transition", "strain", "agent", "onset", "variant", "messages", "sources")}
    told |= {"probability": of.probability, "text": of.text, "baseline": share(first)}
    if of.reason is not None:
        none = unknown(of.reason, 0)
        return Edge(**told, changed=none, effect=none, p=None, adjusted=None, confirmed=None, missing=int(np.isnan(first).sum()))
    effect, p = difference(first, second)
    missing = int((np.isnan(first) | np.isnan(second)).sum())
    return Edge(**told, changed=share(second), effect=effect, p=p, adjusted=None, confirmed=None, missing=missing)


def _signs(kept: Sequence[int | None]) -> Signs:
    return np.array([np.nan if sign is None else sign for sign in kept], dtype=np.float64)


def confirmed_share(of: Sequence[Edge]) -> Estimate:
    """The share of edges that are confirmed, of those that were tested, with the interval of Wilson 1927."""
    asked = [edge.confirmed for edge in of if edge.confirmed is not None]
    return share(np.array(asked, dtype=np.float64), "messages tested")


def write(directory: Path, sampled: Sequence[Sampled]) -> None:
    """Put what was sampled beside what stands there; the same variant of the same case is replaced by what has more samples."""
    known = {one.key: one for one in _read(directory)}
    for one in sampled:
        if one.key not in known or len(known[one.key].baseline) <= len(one.baseline):
            known[one.key] = one
    kept = sorted(known.values(), key=lambda one: (one.onset, one.transition))
    rows = [asdict(one) for one in kept]
    text = json.dumps({"version": VERSION, "sampled": rows}, indent=1, ensure_ascii=True)
    put(directory / NAME, text.encode())


def read_counterfactual(run: Run) -> list[Edge]:
    """The edges of a run that were tested by replaying turns; none where none were. LogError: what is kept cannot be read, or
    is not of this run.
    """
    directory = run.path.parent / FOLDER
    sampled = _read(directory)
    try:
        _must_be_of(run, sampled)
    except ValueError as error:
        raise LogError(f"cannot read {directory / NAME}: {error}") from error
    named = names(run, {agent for one in sampled for agent in (one.agent, *one.sources)})
    return [replace(edge, names=tuple(named[agent] for agent in (edge.agent, *edge.sources))) for edge in edges(sampled)]


def names(run: Run, agents: Collection[int]) -> dict[int, str]:
    """What agents are called."""
    known = dict(zip(run.agents["id"].tolist(), run.agents["name"].tolist(), strict=True)) if agents else {}
    return {agent: str(known.get(agent, name_of(agent))) for agent in agents}


def _must_be_of(run: Run, sampled: Sequence[Sampled]) -> None:
    """ValueError unless every case stands in the log, and every message with its senders."""
    if not sampled:
        return
    said = json.dumps([message for one in sampled for message in one.messages])
    sender = dict(run.rows("SELECT id, sender FROM message WHERE id IN (SELECT value FROM json_each(?))", (said,)))
    table = run.transitions[run.transitions["id"].isin({one.transition for one in sampled})]
    there = {(row.id, row.strain, row.agent, row.onset) for row in table.itertuples()}
    for one in sampled:
        if (one.transition, one.strain, one.agent, one.onset) not in there:
            case = f"transition {one.transition} of agent {one.agent} at step {one.onset}, {one.strain[:40]!r}"
            raise ValueError(f"the run has no {case}")
        if unknown := [message for message in one.messages if message not in sender]:
            raise ValueError(f"the run has no message {unknown[0]}")
        if {sender[message] for message in one.messages} != set(one.sources):
            raise ValueError(f"messages {one.messages} are not of the agents {one.sources}")


def _read(directory: Path) -> list[Sampled]:
    path = directory / NAME
    if not path.exists():
        return []
    try:
        return list(_File.model_validate_json(path.read_bytes()).sampled)
    except ValidationError as error:
        raise LogError(f"cannot read {path}: {' '.join(first_error(error).split()).lstrip(': ')}") from error
    except (OSError, RecursionError) as error:
        raise LogError(f"cannot read {path}: {' '.join(str(error).split())}") from error


class _File(BaseModel):
    """What stands in the file, of the version that this program reads."""

    model_config = ConfigDict(strict=True, extra="forbid")

    version: Literal[1]
    sampled: tuple[Sampled, ...]


def tables(found: Sequence[Edge]) -> Iterator[Table]:
    """What was found, edge by edge and in all."""
    if not found:
        return
    yield Table(
        "Replayed turns, message by message",
        "P(sign) is the probability that the agent's message at its onset step reaches the threshold of a case, with the"
        " request as it was and with the message changed, all else equal; the difference is what the message did. Confirmed:"
        " its interval lies above 0, and p, adjusted by Holm over all messages treated alike, is at most 0.05. The"
        " agent's own earlier messages stay as they were, so what a message did by way of them is not counted.",
        HEAD,
        tuple(_row(edge) for edge in found),
    )
    yield Table(
        "Edges confirmed",
        "The share of candidate messages that turn out to be causes when their effect is tested. The placebo treats messages that"
        " show nothing: more than a few confirmed there would tell against the test.",
        ("variant", "tested", "confirmed", "share confirmed", "mean difference"),
        tuple(_summary(found)),
    )


def _row(edge: Edge) -> tuple[str, ...]:
    said = ", ".join(map(str, edge.messages)) or "none"
    p = "" if edge.adjusted is None else "<0.001" if edge.adjusted < 0.001 else f"{edge.adjusted:.3f}"
    verdict = {True: "yes", False: "no", None: "not tested"}[edge.confirmed]
    if edge.missing:
        verdict += f" ({edge.missing} missing)"
    agent, *others = edge.names or map(str, (edge.agent, *edge.sources))
    ids = (str(edge.transition), agent, str(edge.onset), said, ", ".join(others), f"{edge.probability:.2f}", edge.variant)
    told = "" if edge.effect.value is None else number(edge.effect, "+.2f")
    return (*ids, number(edge.baseline), number(edge.changed), told, p, verdict)


def _summary(found: Sequence[Edge]) -> Iterator[tuple[str, ...]]:
    by_variant: defaultdict[str, list[Edge]] = defaultdict(list)
    for edge in found:
        by_variant[edge.variant if len(edge.messages) < 2 else f"{edge.variant}, together"].append(edge)
    for name, of in by_variant.items():
        asked = [edge for edge in of if edge.confirmed is not None]
        effects = [edge.effect.value for edge in asked if edge.effect.value is not None]
        yes = sum(edge.confirmed is True for edge in asked)
        mean = f"{np.mean(effects):+.2f}" if effects else "none tested"
        yield name, f"{len(asked)} of {len(of)}", str(yes), number(confirmed_share(of)), mean
