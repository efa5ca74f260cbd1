"""Replaying turns: the run is gone through again from its journal, and then single turns of it are had many times."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from contagium.agents.backends.backend import BackendError
from contagium.agents.backends.budget import Caps
from contagium.agents.backends.journal import Journal, JournalError, inherit
from contagium.agents.backends.journal_file import NAME as JOURNAL
from contagium.agents.backends.replay import Replay
from contagium.agents.speaking import Speaking
from contagium.envs.world import Observation
from contagium.sim.counterfactual.cases import Case, Refusal, recorded, steps_done
from contagium.sim.counterfactual.reseeded import RESEEDED
from contagium.sim.counterfactual.results import FOLDER, Sampled, write
from contagium.sim.counterfactual.sign import Sign
from contagium.sim.counterfactual.tape import Tape, Taped
from contagium.sim.counterfactual.turn import Turn
from contagium.sim.counterfactual.variants import Change, Variants
from contagium.sim.estimate import Estimate
from contagium.sim.laboratory import Laboratory, Society, interveners, prepare, prices, society
from contagium.sim.log import EventLog
from contagium.sim.reading import LogError, Run
from contagium.sim.resume import stored
from contagium.sim.run import claimed, root
from contagium.sim.running import Running
from contagium.sim.scenario import RunSpec


@dataclass(frozen=True)
class Question:
    """What is asked of a run: its cases, with so many samples of each variant of each; `Variants` explains the others."""

    cases: tuple[Case, ...]
    samples: int
    wanted: tuple[str, ...]
    together: bool = False
    neutral: str | None = None


class Replaying:
    """A run, to be asked. overrides: of how calls are made. begun: whether something is kept that was not there before.

    ScenarioError: the run cannot be built again.
    """

    def __init__(self, run: Run, overrides: Sequence[str], notice: Callable[[str], None]) -> None:
        self._run = run
        self._folder = run.path.parent / FOLDER
        self.begun = False
        scenario = stored(run.path.parent, overrides)
        # What may be changed about calls changes nothing that was said; how turns were scheduled neither.
        scenario = scenario.model_copy(update={"run": RunSpec(schedule="rounds", max_missing=1.0)})
        self._lab: Laboratory = prepare(scenario, self._folder, notice)
        self._people: Society = society(scenario, self._lab.backends)

    def why_not(self, agent: int) -> str | None:
        """Why the turns of an agent cannot be had again: no model makes up what it says. None where one does."""
        group = int(self._people.population.group[agent])
        policy, backend = self._people.policies[group], self._lab.backends[group]
        if not isinstance(policy, Speaking) or backend is None:
            return f"the agent is {type(policy).__name__.lower()}: it has no language model that could be asked again"
        if not policy.writes(agent):
            return "the agent says the written lines of its persona: there is no request to repeat"
        if isinstance(backend.backend, Replay):
            return "the agent answers from a journal (backend=replay): it has no other replies; take the run it came from"
        return None

    def check(self, question: Question) -> None:
        """Refusal unless all of a question can be asked of the run."""
        must_be_ours(self._run, max(case.onset for case in question.cases))
        for case in question.cases:
            if (reason := self.why_not(case.agent)) is not None:
                raise Refusal(f"transition {case.transition} of agent {case.agent}: {reason}")
        if not (self._run.path.parent / JOURNAL).exists():
            raise Refusal(f"{self._run.path.parent / JOURNAL} is missing: without it the run cannot be gone through again")

    def estimate(self, question: Question) -> list[Estimate]:
        """What sampling takes at most of each model; a joint variant counts for every case, paraphrases and judges for none."""
        calls: dict[str, list[int]] = {}
        singles = sum(name != "placebo" for name in question.wanted)
        for case in question.cases:
            requests = 1 + singles * len(case.candidates) + ("placebo" in question.wanted) + question.together
            asked = "SELECT model, prompt_tokens FROM call WHERE agent = ? AND step = ? AND purpose IN ('speak', 'think')"
            for model, tokens in self._run.rows(asked, (str(case.agent), str(case.onset))):
                counts = calls.setdefault(model, [0, 0, 0])
                number = requests * question.samples
                most = self._spec(case.agent).get("max_tokens", 40)
                calls[model] = [counts[0] + number, counts[1] + number * (tokens or 0), counts[2] + number * most]
        known = prices(self._lab.scenario)
        return [
            Estimate(model, number, read, written, known[model].of(read, written) if model in known else None)
            for model, (number, read, written) in calls.items()
        ]

    def _spec(self, agent: int) -> dict[str, int]:
        return list(self._lab.scenario.agents.groups.values())[int(self._people.population.group[agent])].policy

    async def go(self, question: Question, watch: Callable[[int, Case], None]) -> None:
        """Ask, and keep what comes case by case. watch: called with how many cases are done, and the next.

        Refusal: see `check`. LogError, JournalError: the run does not repeat itself; then nothing is left behind.
        """
        self.check(question)
        variants = Variants(self._run, question.wanted, question.together, question.neutral)
        with self._leaves_nothing_unless_begun(), claimed(self._folder):
            inherit(self._folder / JOURNAL, self._run.path.parent / JOURNAL, 1 + max(case.onset for case in question.cases))
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self._journal)
                for backend in self._lab.models:
                    await stack.enter_async_context(backend)
                self._lab.budget.begin(self._journal.spent)
                tapes = await self._rewound(question.cases)
                self.begun = True
                for done, case in enumerate(question.cases):
                    watch(done, case)
                    write(self._folder, await self._sampled(case, tapes[case.agent], question.samples, variants))

    @contextmanager
    def _leaves_nothing_unless_begun(self) -> Iterator[None]:
        new = not self._folder.exists()
        self._folder.mkdir(exist_ok=True)
        try:
            yield
        finally:
            if new and not self.begun:
                shutil.rmtree(self._folder)

    @property
    def _journal(self) -> Journal:
        if self._lab.journal is None:
            raise Refusal("the run asks no language model")
        return self._lab.journal

    async def _rewound(self, cases: Sequence[Case]) -> dict[int, Tape]:
        """Go through the run up to the last onset without a call: what each agent of a case was shown and underwent."""
        lab, agents = self._lab, {case.agent for case in cases}
        policies = tuple(Taped(policy, agents) for policy in lab.policies)
        people = Society(**{name: getattr(lab, name) for name in Society._fields})
        # Interventions work on the policies they were given, so these get some of their own.
        lab = replace(lab, policies=policies, interventions=interveners(lab.scenario, people, policies, lab.backend))
        caps, self._lab.budget.caps = self._lab.budget.caps, Caps(calls=0)
        try:
            with TemporaryDirectory() as aside:
                copy = Path(aside) / "run.db"
                copied(self._run.path, copy)
                await _again(lab, copy, 1 + max(case.onset for case in cases))
        except (BackendError, ExceptionGroup) as error:
            first = root(error)
            if isinstance(first, BackendError) and first.reason == "budget":
                raise JournalError(f"{self._run.path.parent / JOURNAL} does not hold every call of the run") from error
            raise
        self._lab.budget.caps = caps
        return {agent: tape for policy in policies for agent, tape in policy.tapes.items()}

    async def _sampled(self, case: Case, tape: Tape, samples: int, variants: Variants) -> list[Sampled]:
        """The replies to a turn and to its variants, read."""
        lab = self._lab
        at = [(k, one) for k, one in enumerate(tape) if isinstance(one, Observation) and one.step == case.onset]
        if not at:
            raise LogError(f"agent {case.agent} had no turn at step {case.onset}, the onset of transition {case.transition}")
        group, sign = int(lab.population.group[case.agent]), self._signs(case.strain)
        policy, backend = self._people.policies[group], lab.backends[group]
        assert isinstance(policy, Speaking)
        assert backend is not None
        changes = await variants.of(case, sign, backend)
        (before, now), told = at[0], recorded(self._run, case.agent, case.onset)
        turn = Turn(policy, backend, self._journal, tape[:before], now, told, lab.streams)
        able = [change for change in changes if change.reason is None]
        async with asyncio.TaskGroup() as tasks:
            replies = [tasks.create_task(turn.replies(samples, swaps)) for swaps in ({}, *(c.swaps for c in able))]
        texts = [text for task in replies for text in task.result()]
        shown = (await sign.shows(texts, case.agent, case.onset)).reshape(len(replies), samples)
        kept = [tuple(None if np.isnan(one) else int(one) for one in row) for row in shown]
        changed = dict(zip(able, kept[1:], strict=True))
        return [_sampled(case, change, kept[0], changed.get(change, ())) for change in changes]

    def _signs(self, strain: str) -> Sign:
        if strain not in self._by_strain:
            self._by_strain[strain] = Sign(self._lab, self._people, strain)
        return self._by_strain[strain]

    @cached_property
    def _by_strain(self) -> dict[str, Sign]:
        return {}


def _sampled(case: Case, change: Change, baseline: tuple[int | None, ...], changed: tuple[int | None, ...]) -> Sampled:
    of = (case.transition, case.strain, case.agent, case.onset)
    done = (change.variant, change.messages, change.sources, change.probability)
    return Sampled(*of, *done, baseline, changed, change.text, change.reason)


async def _again(lab: Laboratory, log: Path, steps: int) -> None:
    """Go through so many steps of a run whose log is at `log`. LogError unless each comes out as it stands there."""
    again = EventLog(log, resume=True)
    try:
        running = Running(lab, again)
        try:
            for _ in range(steps):
                await running.step()
        finally:
            await running.close()
    finally:
        again.close()


def copied(source: Path, target: Path) -> None:
    """Copy a log, whoever else reads or writes it."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
    except sqlite3.Error as error:
        raise LogError(f"cannot read the event log {source}: {error}") from error


def must_be_ours(run: Run, onset: int) -> None:
    """Refusal unless the log of a run that this laboratory made holds the step `onset`."""
    if not (run.path.parent / "scenario.yaml").is_file():
        raise Refusal(f"{run.path.parent} holds no scenario.yaml: only a run of this laboratory can be gone through again")
    if "transcript" in run.meta["scenario"]["env"] or run.meta["scenario"]["env"]["_target_"].endswith(".Archive"):
        raise Refusal(f"{run.path.parent} is a transcript from elsewhere: who said it cannot be asked again")
    if any(group["policy"]["_target_"] == RESEEDED for group in run.meta["scenario"]["agents"]["groups"].values()):
        raise Refusal(f"{run.path.parent} is a rerun itself: take the run it came from")
    if onset >= steps_done(run):
        status = run.meta.get("status", "unknown")
        raise Refusal(f"{run.path.parent} ends after step {steps_done(run) - 1} ({status}): step {onset} is not in it")
