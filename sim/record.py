"""From what happened in a step to rows of the event log."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contagium import __version__
from contagium.agents.backends.backend import Completion
from contagium.agents.policy import Answer, name_of
from contagium.envs.message import Channel, Exposures, Messages
from contagium.envs.pressure import Pressure
from contagium.envs.world import Act, Consequence, Transitions
from contagium.sim.calls import INTERVIEW, Call
from contagium.sim.log import EventLog
from contagium.sim.observer.case import COMPARTMENTS, Candidates, CaseMoves
from contagium.sim.observer.instrument import Readings
from contagium.sim.observer.observer import Seen
from contagium.sim.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from contagium.sim.laboratory import Laboratory

REFUSED = frozenset({"refusal", "filter"})
"""Why a turn brought nothing, where the model answered but would not play its part."""

PACKAGES = ("numpy", "scipy", "networkx", "gymnasium", "pettingzoo", "openai", "xllamacpp", "hydra-core")


def facts(lab: Laboratory, command: str) -> dict[str, Any]:
    """What the log's `meta` says of a run as it begins."""
    scenario = lab.scenario
    detection = {scenario.persona.name: scenario.persona.detection[scenario.observer.case.instrument].model_dump()}
    return {
        "schema_version": SCHEMA_VERSION,
        "scenario": scenario.model_dump(mode="json", by_alias=True),
        "name": scenario.name,
        "seed": scenario.seed,
        "steps": scenario.steps,
        "axes": lab.axes.names,
        "strains": lab.axes.strains,
        "axis_instruments": lab.observer.chosen,
        "detection": {strain: {"instrument": scenario.observer.case.instrument} | rule for strain, rule in detection.items()},
        "index_agents": np.flatnonzero(lab.population.strain >= 0).tolist(),
        "versions": {"python": platform.python_version(), "contagium": __version__}
        | {package: version(package) for package in PACKAGES},
        "command": command,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "status": "running",
        "reason": None,
        "wall_seconds": None,
        "resumed": 0,
    }


class Recorder:
    """Writes a run's rows. Agents beyond `log.detailed_agents` count in the aggregates; their messages are not kept.

    The detailed agents are a random sample drawn from the run's streams, with the index cases first, and besides every agent
    that asks a language model: its words were paid for and cannot be had again.
    """

    def __init__(self, log: EventLog, lab: Laboratory) -> None:
        self._log, self._lab = log, lab
        size = lab.network.size
        draw = lab.streams.generator("detailed").permutation(size)
        first = draw[np.argsort(lab.population.strain[draw] < 0, kind="stable")]
        self._detailed = np.zeros(size, dtype=bool)
        self._detailed[first[: lab.scenario.log.detailed_agents]] = True
        asks = np.array([backend is not None for backend in lab.backends])
        self._detailed |= asks[lab.population.group]
        self._transitions = 0
        self._unread: list[Exposures] = []

    def seeded(self) -> None:
        """Who there is and who hears whom, and the index cases, at step −1."""
        lab, log, population = self._lab, self._log, self._lab.population
        groups = list(lab.scenario.agents.groups)
        strains = [*lab.axes.strains, None]
        log.add(
            "agent",
            [
                (i, name_of(i), groups[g], strains[s], float(u), float(e), int(d))
                for i, (g, s, u, e, d) in enumerate(
                    zip(
                        population.group.tolist(),
                        population.strain.tolist(),
                        population.susceptibility,
                        population.expressiveness,
                        self._detailed,
                        strict=True,
                    )
                )
            ],
        )
        net = lab.network
        log.add("edge", zip(net.source.tolist(), net.target.tolist(), net.weight.tolist(), strict=True))
        for k, strain in enumerate(lab.axes.strains):
            index = np.flatnonzero(population.strain == k)
            count = len(index)
            self._move(-1, strain, "case", [-1] * count, index.tolist(), ["S"] * count, ["I"] * count)
        self._count(-1)
        log.commit()

    def step(
        self,
        step: int,
        pressure: Pressure,
        act: Act,
        sent: Messages,
        withheld: NDArray[np.bool_],
        exposures: Exposures,
        settled: Consequence,
        seen: Seen,
        calls: list[Call],
        answers: list[tuple[int, str, Answer]],
        seconds: float,
    ) -> None:
        """All of one step, in one transaction."""
        log = self._log
        self._messages(sent, withheld)
        self._exposures(exposures)
        for readings in seen.readings:
            self._readings(step, readings, sent)
        for strain, transitions in act.latent.items():
            self._latent(step, strain, transitions)
        for strain, (moves, causes) in seen.moves.items():
            self._case(step, strain, moves, causes)
        log.add("turn", [(step, agent, "refused" if why in REFUSED else "missing", why) for agent, why in act.missing.items()])
        log.add("report", [(step, agent, said.feeling, said.status, said.raw or None) for agent, said in act.report.items()])
        log.add("thought", [(step, agent, text) for agent, text in act.thought.items()])
        paid = np.flatnonzero((settled.reward != 0) | settled.terminated)
        columns = (paid, settled.reward[paid], settled.terminated[paid].astype(int))
        log.add("reward", [(step, *row) for row in zip(*(c.tolist() for c in columns), strict=True)])
        self._pressure(step, pressure)
        log.add("call", [call.row() for call in calls if not call.interview])
        self._interviewed(step, answers, [call for call in calls if call.interview])
        self._count(step)
        log.add("affect", [(step, *row) for row in self._lab.observer.affect(seen.expression)])
        self._unread = [*(left for old in self._unread if len(left := old.take(~np.isin(old.agent, act.agents)))), exposures]
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

    def intervened(self, step: int, name: str, sent: Messages, stopped: NDArray[np.bool_]) -> None:
        """An intervention withheld messages."""
        rows = zip(sent.sender[stopped].tolist(), sent.id[stopped].tolist(), strict=True)
        self._log.add("intervention", [(step, name, "withheld", agent, message) for agent, message in rows])

    def _messages(self, sent: Messages, withheld: NDArray[np.bool_]) -> None:
        kept = np.flatnonzero(self._detailed[sent.sender])
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
        kept = exposures.take(self._detailed[exposures.agent])
        columns = (kept.message, kept.agent, kept.source, kept.weight)
        self._log.add("exposure", [(kept.step, *row) for row in zip(*(c.tolist() for c in columns), strict=True)])

    def _readings(self, step: int, readings: Readings, sent: Messages) -> None:
        by_message = readings.subject == "message"
        agents = sent.sender[np.searchsorted(sent.id, readings.ids)] if by_message else readings.ids
        kept = np.flatnonzero(self._detailed[agents])
        self._log.add(
            "reading",
            [
                (
                    step,
                    readings.subject,
                    int(readings.ids[k]),
                    int(agents[k]),
                    readings.instrument,
                    column,
                    float(readings.values[k, c]) if readings.ok[k] else None,
                    "ok" if readings.ok[k] else "failed",
                )
                for k in kept
                for c, column in enumerate(readings.columns)
            ],
        )

    def _latent(self, step: int, strain: str, moves: Transitions) -> None:
        columns = (moves.agent.tolist(), moves.origin.tolist(), moves.target.tolist())
        ids = self._move(step, strain, "latent", [step] * len(moves), *columns)
        received = self._received(moves.agent, moves.cause).tolist()
        rows = zip(ids, moves.cause.tolist(), moves.source.tolist(), received, strict=True)
        self._log.add("cause", [(i, cause, source, when, 1.0, 1.0) for i, cause, source, when in rows if cause >= 0])

    def _received(self, agent: NDArray[np.int64], message: NDArray[np.int64]) -> NDArray[np.int64]:
        """Step at which each agent (m,) last received the message (m,) that it has read only now, −1 for none. Shape (m,)."""
        step = np.full(len(agent), -1)
        for exposures in filter(len, self._unread):
            # Messages by rank, for an id beside an agent's would not fit into 64 bits. The keys ascend, as exposures do.
            known = np.unique(exposures.message)
            key = exposures.agent * len(known) + np.searchsorted(known, exposures.message)
            rank = np.minimum(np.searchsorted(known, message), len(known) - 1)
            wanted = np.where(known[rank] == message, agent * len(known) + rank, -1)
            at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
            step[key[at] == wanted] = exposures.step
        return step

    def _case(self, step: int, strain: str, moves: CaseMoves, causes: Candidates) -> None:
        named = [[COMPARTMENTS[c] for c in codes.tolist()] for codes in (moves.origin, moves.target)]
        moved = self._move(step, strain, "case", moves.onset.tolist(), moves.agents.tolist(), *named)
        ids = np.asarray(moved, dtype=np.int64)
        columns = (ids[causes.move], causes.message, causes.source, causes.step, causes.dose, causes.probability)
        self._log.add("cause", zip(*(c.tolist() for c in columns), strict=True))

    def _move(
        self, step: int, strain: str, kind: str, onset: list[int], agents: list[int], origin: list[str], target: list[str]
    ) -> list[int]:
        ids = list(range(self._transitions, self._transitions + len(agents)))
        self._transitions += len(agents)
        rows = zip(ids, onset, agents, origin, target, strict=True)
        self._log.add("transition", [(i, step, first, agent, strain, kind, o, t) for i, first, agent, o, t in rows])
        return ids

    def _pressure(self, step: int, pressure: Pressure) -> None:
        for k, event in enumerate(pressure.names):
            pressed = np.flatnonzero(pressure.intensity[:, k] > 0)
            if len(pressed):
                begins = int(pressure.begins[:, k].sum())
                named = ",".join(map(str, pressed.tolist())) if len(pressed) < self._lab.network.size else "all"
                mean = float(pressure.intensity[pressed, k].mean())
                self._log.add("pressure", [(step, event, len(pressed), begins, mean, named)])

    def _count(self, step: int) -> None:
        counts = self._lab.observer.counts()
        self._log.add("compartment", [(step, strain, "case", name, agents) for strain, name, agents in counts])
