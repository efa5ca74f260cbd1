"""From what happened in a step to rows of the event log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contagium.agents.backends.backend import Completion
from contagium.agents.policy import Answer
from contagium.agents.structured import writable
from contagium.envs.message import Channel, Exposures, Messages, spans
from contagium.envs.pressure import Pressure
from contagium.envs.world import Act, Consequence, Transitions
from contagium.sim.calls import INTERVIEW, Call
from contagium.sim.intervention.hands import Done
from contagium.sim.log import EventLog
from contagium.sim.observer.case import COMPARTMENTS
from contagium.sim.observer.instrument import Readings
from contagium.sim.observer.observer import Seen
from contagium.sim.observer.tracker import Candidates, CaseMoves
from contagium.sim.packed import pack

if TYPE_CHECKING:
    from contagium.sim.laboratory import Laboratory

DECIMALS = 6
"""To which readings are logged: more than any instrument can tell apart, and short to write down."""

REFUSED = frozenset({"refusal", "filter"})
"""Why a turn brought nothing, where the model answered but would not play its part."""


@dataclass(frozen=True)
class Happened:
    """What happened in a step, before anybody read it.

    withheld: which of the messages `sent` (n,) no one heard. settled: consequences of the act. answers: agent, interview item and
    answer of whoever was asked aside.
    """

    step: int
    act: Act
    sent: Messages
    withheld: NDArray[np.bool_]
    exposures: Exposures
    settled: Consequence
    pressure: Pressure
    answers: list[tuple[int, str, Answer]]


class Recorder:
    """Writes a run's rows. Of agents outside the sample no words, exposures and readings are kept; all else counts them."""

    def __init__(self, log: EventLog, lab: Laboratory) -> None:
        self._log, self._lab, self._sample = log, lab, lab.sample
        self._transitions = 0
        self._unread: list[Exposures] = []

    def seeded(self) -> None:
        """Who there is and who hears whom, and the index cases, at step −1."""
        lab, sample, net = self._lab, self._sample, self._lab.network
        self._agents(np.arange(net.size) if sample.everybody else np.flatnonzero(sample.detailed))
        count = net.indptr[sample.tied + 1] - net.indptr[sample.tied]
        _, edge = spans(net.indptr[sample.tied], count)
        ends = (net.source[edge], np.repeat(sample.tied, count), net.weight[edge])
        self._log.add("edge", zip(*(column.tolist() for column in ends), strict=True))
        for k, strain in enumerate(lab.axes.strains):
            index = np.flatnonzero(lab.population.strain == k)
            origin = np.zeros(len(index), dtype=np.int64)
            self._move(-1, strain, "case", np.full(len(index), -1), index, origin, origin + 1, COMPARTMENTS)
        self._count(-1, {})
        self._log.commit()

    def _agents(self, told: NDArray[np.int64]) -> None:
        """Rows of these agents (n,)."""
        population, groups = self._lab.population, list(self._lab.scenario.agents.groups)
        strains = [*self._lab.axes.strains, None]
        traits = (population.group, population.strain, population.susceptibility, population.expressiveness)
        columns = zip(told.tolist(), *(c[told].tolist() for c in (*traits, self._sample.detailed)), strict=True)
        self._log.add("agent", [(i, self._lab.name(i), groups[g], strains[s], u, e, int(d)) for i, g, s, u, e, d in columns])

    def step(self, happened: Happened, seen: Seen, exposed: dict[str, CaseMoves], calls: list[Call], seconds: float) -> None:
        """All of one step, in one transaction. exposed: who became so at its end, by strain."""
        log, step, act, sent, exposures = self._log, happened.step, happened.act, happened.sent, happened.exposures
        settled = happened.settled
        self._messages(sent, happened.withheld)
        self._exposures(exposures)
        for readings in seen.readings:
            self._readings(step, readings)
        for strain, transitions in act.latent.items():
            self._latent(step, strain, transitions)
        for strain, (moves, causes) in seen.moves.items():
            self._case(step, strain, moves, causes)
        for strain, moves in exposed.items():
            if len(moves):
                self._case(step, strain, moves, Candidates.none())
        log.add("turn", [(step, agent, "refused" if why in REFUSED else "missing", why) for agent, why in act.missing.items()])
        log.add("report", [(step, agent, said.feeling, said.status, said.raw or None) for agent, said in act.report.items()])
        log.add("thought", [(step, agent, text) for agent, text in act.thought.items()])
        paid = np.flatnonzero((settled.reward != 0) | settled.terminated)
        paid = paid if self._sample.everybody else paid[self._sample.detailed[paid]]
        columns = (paid, settled.reward[paid], settled.terminated[paid].astype(int))
        log.add("reward", [(step, *row) for row in zip(*(c.tolist() for c in columns), strict=True)])
        self._choices(step, act)
        self._outcomes(step, settled)
        self._pressure(step, happened.pressure)
        log.add("call", [call.row() for call in calls if not call.interview])
        self._interviewed(step, happened.answers, [call for call in calls if call.interview])
        self._count(step, act.counts)
        log.add("affect", [(step, *row) for row in self._lab.observer.means(seen)])
        self._remember(act, exposures)
        failed = sum(int((~readings.ok).sum()) for readings in seen.readings)
        log.add("step", [(step, len(sent), len(exposures), len(act.missing), failed, seconds)])
        log.commit()

    def _interviewed(self, step: int, answers: list[tuple[int, str, Answer]], calls: list[Call]) -> None:
        """Answers, each with what it took to get it."""
        took: dict[tuple[int, str], list[Call]] = {}
        for call in calls:
            took.setdefault((call.request.agent, call.request.purpose), []).append(call)
        for agent, name, answer in answers:
            made = took.get((agent, f"{INTERVIEW}:{name}"), [])
            done = [call.outcome for call in made if isinstance(call.outcome, Completion)]
            tokens = (sum(d.prompt_tokens or 0 for d in done), sum(d.completion_tokens or 0 for d in done))
            said = (answer.text, answer.status, None if answer.status == "ok" else answer.raw)
            model = made[0].model if made else None
            attempts = sum(call.outcome.attempts for call in made)
            faults = ",".join(name for call in made for name in call.outcome.faults)
            self._log.add("interview", [(step, agent, name, *said, model, len(made), attempts, faults, *tokens)])

    def intervened(self, step: int, done: Sequence[Done]) -> None:
        """What interventions did. Of a large population the words that messages were given instead are not kept."""
        for one in done:
            agents = one.agents
            if not self._sample.everybody:
                ids = np.full(len(agents), -1) if one.messages is None else one.messages
                named = (one.name, one.action, one.detail if isinstance(one.detail, str) else "")
                self._bulk(step, "intervention", ("", ""), 0, named, len(agents), {"agent": agents, "message": ids})
                continue
            messages: list[int | None] = [None] * len(agents) if one.messages is None else one.messages.tolist()
            rows = zip(agents.tolist(), messages, _details(one), strict=True)
            self._log.add("intervention", [(step, one.name, one.action, *row) for row in rows])

    def _messages(self, sent: Messages, withheld: NDArray[np.bool_]) -> None:
        kept = np.flatnonzero(self._sample.detailed[sent.sender])
        self._log.add(
            "message",
            [
                (
                    int(sent.id[k]),
                    int(sent.step[k]),
                    int(sent.sender[k]),
                    Channel(int(sent.channel[k])).name.lower(),
                    int(sent.thread[k]),
                    None if sent.reply_to[k] < 0 else int(sent.reply_to[k]),
                    int(withheld[k]),
                    sent.text.get(int(sent.id[k])),
                )
                for k in kept
            ],
        )

    def _exposures(self, exposures: Exposures) -> None:
        kept = exposures.take(self._sample.detailed[exposures.agent])
        columns = (kept.message, kept.agent, kept.source, kept.weight)
        self._log.add("exposure", [(kept.step, *row) for row in zip(*(c.tolist() for c in columns), strict=True)])

    def _readings(self, step: int, readings: Readings) -> None:
        ids, size = readings.ids, len(self._sample.detailed)
        # A message's number tells its sender, of an earlier step too.
        agents = ids % size if readings.subject == "message" else ids
        kept = np.flatnonzero(self._sample.detailed[agents])
        known = (step, readings.channel), readings.instrument
        scores = np.round(readings.values[kept].astype(np.float64), DECIMALS).tolist()
        rows = zip(kept.tolist(), ids[kept].tolist(), agents[kept].tolist(), readings.ok[kept].tolist(), scores, strict=True)
        self._log.add(
            "reading",
            [
                (*known[0], i, agent, known[1], "ok", None, json.dumps(dict(zip(readings.columns, row, strict=True))))
                if ok
                else (
                    *known[0],
                    i,
                    agent,
                    known[1],
                    "failed",
                    readings.reasons.get(k),
                    json.dumps(dict.fromkeys(readings.columns)),
                )
                for k, i, agent, ok, row in rows
            ],
        )
        detailed = {k: (i, agent) for k, i, agent in zip(kept.tolist(), ids[kept].tolist(), agents[kept].tolist(), strict=True)}
        quoted = [(k, column, words) for (k, column), words in readings.quotes.items() if k in detailed]
        self._log.add("quote", [(*known[0], *detailed[k], known[1], column, writable(words)) for k, column, words in quoted])

    def _latent(self, step: int, strain: str, moves: Transitions) -> None:
        count = len(moves)
        names, code = np.unique(np.concatenate([moves.origin, moves.target]), return_inverse=True)
        onset, ends = np.full(count, step), (code[:count], code[count:])
        first = self._move(step, strain, "latent", onset, moves.agent, *ends, tuple(names.tolist()))
        row = np.flatnonzero(moves.cause >= 0)
        cause, one = moves.cause[row], np.ones(len(row))
        received = self._received(moves.agent[row], cause)
        self._cause(step, (strain, "latent"), first, row, cause, moves.source[row], received, one, one)

    def _remember(self, act: Act, exposures: Exposures) -> None:
        """What was received and not yet read, each with the step of its exposure."""
        acted = np.zeros(self._lab.network.size, dtype=bool)
        acted[act.agents] = True
        left = [] if acted.all() else [old.take(~acted[old.agent]) for old in self._unread]
        self._unread = [*filter(len, left), exposures]

    def _received(self, agent: NDArray[np.int64], message: NDArray[np.int64]) -> NDArray[np.int64]:
        """Step at which each agent (m,) last received the message (m,) that it has read only now, −1 for none. Shape (m,)."""
        step = np.full(len(agent), -1)
        for exposures in filter(len, self._unread):
            start = np.searchsorted(exposures.agent, agent, "left")
            count = np.searchsorted(exposures.agent, agent, "right") - start
            _, rows = spans(start, count)
            asked = np.repeat(np.arange(len(agent)), count)
            step[asked[exposures.message[rows] == message[asked]]] = exposures.step
        return step

    def _case(self, step: int, strain: str, moves: CaseMoves, causes: Candidates) -> None:
        first = self._move(step, strain, "case", moves.onset, moves.agents, moves.origin, moves.target, COMPARTMENTS)
        columns = (causes.move, causes.message, causes.source, causes.step, causes.dose, causes.probability)
        self._cause(step, (strain, "case"), first, *columns)

    def _move(
        self,
        step: int,
        strain: str,
        kind: str,
        onset: NDArray[np.int64],
        agent: NDArray[np.int64],
        origin: NDArray[np.integer],
        target: NDArray[np.integer],
        names: tuple[str, ...],
    ) -> int:
        """Transitions (k,) between compartments, given by their places in `names`; the number of the first."""
        first, count = self._transitions, len(agent)
        self._transitions += count
        if not self._sample.everybody:
            values = {"onset": onset, "agent": agent, "origin": origin, "target": target}
            self._bulk(step, "transition", (strain, kind), first, names, count, values)
            return first
        rows = zip(range(first, first + count), *(c.tolist() for c in (onset, agent, origin, target)), strict=True)
        self._log.add("transition", [(i, step, on, who, strain, kind, names[o], names[t]) for i, on, who, o, t in rows])
        return first

    def _cause(
        self,
        step: int,
        of: tuple[str, str],
        first: int,
        move: NDArray[np.int64],
        message: NDArray[np.int64],
        source: NDArray[np.int64],
        when: NDArray[np.int64],
        dose: NDArray[np.float64],
        probability: NDArray[np.float64],
    ) -> None:
        """Causes (m,) of the transitions first + move, of one strain and kind."""
        if not self._sample.everybody:
            values: dict[str, NDArray[Any]] = {"transition_id": move, "message": message, "source": source, "step": when}
            values |= {"dose": dose, "probability": probability}
            self._bulk(step, "cause", of, first, (), len(move), values)
            return
        columns = (first + move, message, source, when, dose, probability)
        self._log.add("cause", zip(*(c.tolist() for c in columns), strict=True))

    def _bulk(
        self,
        step: int,
        table: str,
        of: tuple[str, str],
        first: int,
        names: tuple[str, ...],
        rows: int,
        values: dict[str, NDArray[Any]],
    ) -> None:
        """Rows of a table as one array; of: strain and kind."""
        if rows:
            data = pack(table, rows, values)
            self._log.add("bulk", [(step, table, *of, first, rows, json.dumps(names, ensure_ascii=False), data)])

    def _choices(self, step: int, act: Act) -> None:
        """What each agent of the sample chose, and how many of everybody chose what, in a world that has choices."""
        if not (names := self._lab.world.choices):
            return
        # The last name is what −1 points at: no valid choice.
        named = (*names, None)
        kept = self._sample.detailed[act.agents]
        rows = zip(act.agents[kept].tolist(), act.choice[kept].tolist(), strict=True)
        self._log.add("choice", [(step, agent, named[choice]) for agent, choice in rows])
        counts = np.bincount(np.where(act.choice < 0, len(names), act.choice), minlength=len(named))
        self._log.add("chosen", [(step, named[k], int(counts[k])) for k in range(len(named)) if k < len(names) or counts[k]])

    def _outcomes(self, step: int, settled: Consequence) -> None:
        """What the world says came of it: for each agent of the sample, and added up over everybody."""
        for name, (agents, values) in settled.outcomes.items():
            kept = self._sample.detailed[agents]
            rows = zip(agents[kept].tolist(), values[kept].tolist(), strict=True)
            self._log.add("outcome", [(step, agent, name, value) for agent, value in rows])
            if len(agents):
                self._log.add("outcome_sum", [(step, name, len(agents), float(values.sum()))])

    def _pressure(self, step: int, pressure: Pressure) -> None:
        for k, event in enumerate(pressure.names):
            pressed = np.flatnonzero(pressure.intensity[:, k] > 0)
            if len(pressed):
                begins = int(pressure.begins[:, k].sum())
                named = ",".join(map(str, pressed.tolist())) if len(pressed) < self._lab.network.size else "all"
                mean = float(pressure.intensity[pressed, k].mean())
                self._log.add("pressure", [(step, event, len(pressed), begins, mean, named)])

    def _count(self, step: int, latent: dict[str, dict[str, int]]) -> None:
        counts = [(strain, "case", name, agents) for strain, name, agents in self._lab.observer.counts()]
        hidden = [(strain, "latent", name, agents) for strain, of in latent.items() for name, agents in of.items()]
        self._log.add("compartment", [(step, *row) for row in (*counts, *hidden)])


def _details(one: Done) -> Sequence[str]:
    """In what words, for each agent of a deed."""
    if isinstance(one.detail, str):
        return [one.detail] * len(one.agents)
    if isinstance(one.detail, tuple):
        return one.detail
    return [] if one.messages is None else [one.detail[message] for message in one.messages.tolist()]
