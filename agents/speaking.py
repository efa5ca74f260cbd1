"""Speaking agents: a language model says, for each agent, what it would say next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from copy import copy, deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.agents.backends.backend import Backend, BackendError, Completion, PromptForm, Request, Sampling
from contagium.agents.memory import Entry, Memory, Window, newer_half
from contagium.agents.persona import Persona
from contagium.agents.policy import Answer, Deed, Pin, Question, Setting, SumUp, Unpin, Wipe, nothing_to_undergo
from contagium.agents.prompt import (
    choice_question,
    feeling_question,
    options_question,
    render,
    summary_question,
    system_text,
)
from contagium.agents.replies import LIKELIEST, REFUSED, digits, one_line, picked, to_fill, to_pick
from contagium.agents.strains import heard
from contagium.agents.structured import closed_list, writable
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation, Report

THINK = "In private, nobody reads this: what do you think and feel right now? One or two sentences."


@dataclass(frozen=True, slots=True)
class _Call:
    """What a model is asked for: the post itself, or the answer to a question."""

    purpose: str
    seed: int
    sampling: Sampling
    question: str = ""
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Turn:
    """What came of a turn. thought: empty for none; choice: −1 for none; missing: why it is missing, or empty."""

    said: str = ""
    thought: str = ""
    report: Report | None = None
    choice: int = -1
    missing: str = ""


class Speaking:
    """Each agent sees its persona, its situation and what it remembers, and posts one message.

    index_voice: whether index agents say the lines their persona is written with ("written": they shed steadily and cost no call)
    or the model plays them with those lines as examples ("model"). prompt: form of the prompt, "auto" asks the backend.
    temperature, top_p, max_tokens, repeat_penalty: sampling. memory: what agents keep in mind, by default a `Window`. think: an
    agent whose words the model writes is first asked, by a call of its own, what it thinks and feels; it has that thought before
    it for the rest of its turn, nobody else ever hears it, and a turn stands without one. thinks: how it is asked. logprobs: for
    each token of a post, ask for its log-probability and that of so many likeliest others; 0 asks for none.

    A call for a post that fails, a refusal and a post taken out by a filter leave the agent's turn missing, with the reason; only
    a failure that every later call would share is raised (`BackendError.fatal`). A prompt that is too long for the model is tried
    again with less of what the agent remembers, down to nothing.
    """

    def __init__(
        self,
        index_voice: Literal["written", "model"] = "written",
        prompt: PromptForm | Literal["auto"] = "auto",
        temperature: Annotated[float, Field(ge=0)] = 0.8,
        top_p: Annotated[float, Field(gt=0, le=1)] = 0.95,
        max_tokens: Annotated[int, Field(ge=1)] = 40,
        repeat_penalty: Annotated[float, Field(ge=1)] = 1.1,
        memory: Memory | None = None,
        think: bool = False,
        thinks: Annotated[str, Field(min_length=1)] = THINK,
        logprobs: Annotated[int, Field(ge=0, le=20)] = 0,
    ) -> None:
        self._index_voice = index_voice
        self._form = prompt
        self._sampling = Sampling(temperature, top_p, max_tokens, repeat_penalty, logprobs=logprobs)
        self._memory: Memory = memory or Window()
        self._thinks = thinks if think else ""

    speaks = True
    independent = True
    undergoes: tuple[type[Deed], ...] = (Wipe, SumUp, Pin, Unpin)

    def begin(self, setting: Setting) -> None:
        if setting.backend is None:
            raise ValueError("speaking agents need a language model: choose one with backend=…")
        index = np.unique(setting.population.strain[setting.agents])
        for persona in (setting.personas[k] for k in index[index >= 0]):
            if self._index_voice == "written" and not persona.examples:
                raise ValueError(
                    f"persona {persona.name} has no examples for index agents to say; let the model, index_voice=model"
                )
            if self._index_voice == "written" and persona.gate is not None and not setting.background.examples:
                raise ValueError(
                    f"persona {setting.background.name} needs lines to be said where the gate of {persona.name} is shut"
                )
        self._setting = setting
        self._backend: Backend = setting.backend
        self._strain: list[int] = setting.population.strain.tolist()
        self._feelings = closed_list("feeling", setting.feelings) if setting.report_every else None
        self._closed = lru_cache(64)(lambda choices: closed_list("choice", choices))
        self._to_sum_up: set[int] = set()
        self._situation: dict[int, str] = {}
        self._shut: set[int] = set()
        self._memory.clear()

    async def act(self, observation: Observation, rng: Streams) -> Act:
        agents: list[int] = observation.agents.tolist()
        # A task group ends all turns when one fails for good, so that no call is left running behind a stopped run.
        async with asyncio.TaskGroup() as group:
            turns = [group.create_task(self._turn(k, agent, observation, rng)) for k, agent in enumerate(agents)]
        act = Act.idle(observation.agents, len(self._setting.axes))
        for k, (agent, task) in enumerate(zip(agents, turns, strict=True)):
            turn = task.result()
            if turn.missing:
                act.missing[agent] = turn.missing
            else:
                act.says[k], act.text[agent] = True, turn.said
            if turn.thought:
                act.thought[agent] = turn.thought
            if turn.report is not None:
                act.report[agent] = turn.report
            if self._setting.choices:
                act.choice[k] = turn.choice
        return act

    async def ask(self, agents: NDArray[np.int64], question: Question, step: int, rng: Streams) -> dict[int, Answer]:
        ids: list[int] = agents.tolist()
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._interview(agent, question, step, rng)) for agent in ids]
        return {agent: task.result() for agent, task in zip(ids, asked, strict=True)}

    def undergo(self, deed: Deed) -> None:
        """ValueError: a note is more than a memory holds."""
        for agent in deed.agents.tolist():
            match deed:
                case Wipe():
                    self._memory.wipe(agent)
                case SumUp():
                    self._to_sum_up.add(agent)
                case Pin(text=text):
                    self._memory.inoculate(agent, text)
                case Unpin(text=text):
                    self._memory.forget_note(agent, text)
                case _:
                    nothing_to_undergo(self, deed)

    def fork(self, backend: Backend) -> Self:
        """A policy in the state of this one, which asks `backend`; what either of them does leaves no trace in the other."""
        other = copy(self)
        other._memory, other._situation, other._backend = deepcopy(self._memory), self._situation.copy(), backend
        other._to_sum_up, other._shut = self._to_sum_up.copy(), self._shut.copy()
        return other

    def writes(self, agent: int) -> bool:
        """Whether a model makes up what `agent` says; else it says written lines."""
        return not self._written(agent)

    async def _turn(self, k: int, agent: int, observation: Observation, rng: Streams) -> _Turn:
        step = observation.step
        if agent in self._to_sum_up:
            await self._condense(agent, step, rng)
        self._read(k, agent, observation, rng)
        await self._sum_up(agent, step, rng)
        known = self._memory.of(agent)
        thought = await self._think(agent, known, step, rng)
        if thought:
            known = (*known, Entry("news", "", f"Your own thought, which nobody else reads: {thought}"))
        said, missing = await self._say(agent, known, step, rng)
        if missing:
            return _Turn(thought=thought, missing=missing)
        post = Entry("own", self._setting.name(agent), said)
        report = await self._report(agent, known, step, rng)
        allowed = None if observation.allowed is None else observation.allowed[k]
        choice = await self._choose(agent, (*known, post), allowed, step, rng)
        self._memory.add(agent, post)
        return _Turn(said, thought, report, choice)

    def _read(self, k: int, agent: int, observation: Observation, rng: Streams) -> None:
        """Take the situation, the inbox and the news of this step into memory.

        Messages of the same step come in a random order: a model heeds what it reads last, and ids would favour some agents.
        """
        self._situation[agent] = observation.describe(agent)
        self._heed(k, agent, observation)
        self._memory.turn(agent)
        inbox, step = observation.inbox, observation.step
        messages, rows = inbox.messages, inbox.row[inbox.indptr[k] : inbox.indptr[k + 1]]
        columns = (messages.step[rows].tolist(), messages.sender[rows].tolist(), messages.id[rows].tolist())
        # The key names the message by sender and step: one message less, or other ids, must not reorder the others.
        unread = sorted(
            (sent, rng.order("reading order", step, agent, who, sent), who, i) for sent, who, i in zip(*columns, strict=True)
        )
        for _, _, sender, message in unread:
            if message in messages.text:
                self._memory.add(agent, Entry("read", self._setting.name(sender), messages.text[message]))
        news = [observation.news[agent]] if agent in observation.news else []
        if observation.pressure is not None:
            news += observation.pressure.news(k)
        if news:
            # All that befell it in a turn is one entry, so that none of it pushes out the rest.
            self._memory.add(agent, Entry("news", "", " ".join(news)))

    async def _sum_up(self, agent: int, step: int, rng: Streams) -> None:
        """Have the agent sum up what it is about to forget; if that fails, it is asked again another time."""
        pending = self._memory.pending(agent)
        if pending is None:
            return
        call = _Call(
            "summary", rng.integer("summary", step, agent), self._up_to(pending.tokens), summary_question(pending.tokens)
        )
        reply = await self._reply(agent, pending.entries, call, step)
        if isinstance(reply, Completion) and reply.stop not in REFUSED:
            self._memory.fold(agent, one_line(reply.text))

    async def _condense(self, agent: int, step: int, rng: Streams) -> None:
        """Have the agent put all it remembers in a few words and forget the rest; if that fails, it is asked again later."""
        known = tuple(entry for entry in self._memory.of(agent) if entry.kind != "note")
        if known:
            most = self._sampling.max_tokens
            call = _Call("summary", rng.integer("condense", step, agent), self._up_to(most), summary_question(most))
            reply = await self._reply(agent, known, call, step)
            if isinstance(reply, str) or reply.stop in REFUSED:
                return
            self._memory.condense(agent, one_line(reply.text))
        self._to_sum_up.remove(agent)

    async def _think(self, agent: int, known: tuple[Entry, ...], step: int, rng: Streams) -> str:
        """What the agent thinks before it speaks; empty where it does not think, or nothing came of it."""
        if not self._thinks or self._written(agent):
            return ""
        call = _Call("think", rng.integer("think", step, agent), self._up_to(self._sampling.max_tokens), self._thinks)
        reply = await self._reply(agent, known, call, step)
        return "" if isinstance(reply, str) or reply.stop in REFUSED else one_line(reply.text)

    async def _say(self, agent: int, known: tuple[Entry, ...], step: int, rng: Streams) -> tuple[str, str]:
        """What the agent says, or why its turn is missing."""
        if self._written(agent):
            lines = self._persona(agent).repertoire(step, agent, rng)
            return lines[rng.generator("written voice", step, agent).integers(len(lines))], ""
        reply = await self._reply(agent, known, _Call("speak", rng.integer("speak", step, agent), self._sampling), step)
        if isinstance(reply, str):
            return "", reply
        return ("", reply.stop) if reply.stop in REFUSED else (one_line(reply.text), "")

    async def _report(self, agent: int, known: tuple[Entry, ...], step: int, rng: Streams) -> Report | None:
        """What the agent says it feels, on the steps it is asked: its post stands all the same."""
        if self._feelings is None or step % self._setting.report_every:
            return None
        seed, question = rng.integer("self_report", step, agent), feeling_question(self._setting.feelings)
        call = _Call("self_report", seed, to_pick(self._setting.feelings), question, self._feelings.schema)
        answer = picked(await self._reply(agent, known, call, step), self._feelings)
        return Report(answer.text, answer.status, "" if answer.status == "ok" else answer.raw)

    async def _choose(
        self, agent: int, known: tuple[Entry, ...], allowed: NDArray[np.bool_] | None, step: int, rng: Streams
    ) -> int:
        """Which of the world's choices the agent takes, −1 where there are none or its answer is none of them.

        allowed: (C,), None: all. Where only one is, it is taken without asking.
        """
        every = self._setting.choices
        choices = every if allowed is None else tuple(name for name, may in zip(every, allowed, strict=True) if may)
        if len(choices) < 2:
            return every.index(choices[0]) if choices else -1
        form, seed = self._closed(choices), rng.integer("choice", step, agent)
        call = _Call("choice", seed, to_pick(choices), choice_question(choices), form.schema)
        answer = picked(await self._reply(agent, known, call, step), form)
        return -1 if answer.text is None else every.index(answer.text)

    async def _interview(self, agent: int, question: Question, step: int, rng: Streams) -> Answer:
        """An answer out of a fork of the agent's context: nothing is kept of it here."""
        form = closed_list("answer", question.options) if question.options else None
        schema = question.schema if form is None else form.schema
        sampling = self._up_to(question.tokens)
        if form is not None:
            sampling = to_pick(question.options)
        elif schema is not None or question.digits:
            sampling = to_fill(question.tokens, LIKELIEST * question.digits)
        seed = rng.integer(f"interview:{question.name}", step, agent)
        asked = options_question(question.text, question.options)
        call = _Call(f"interview:{question.name}", seed, sampling, asked, schema)
        reply = await self._reply(agent, self._memory.of(agent), call, step)
        if form is not None:
            return picked(reply, form)
        if isinstance(reply, str):
            return Answer(None, "missing", reply)
        said = writable(reply.text).strip()
        if reply.stop in REFUSED:
            return Answer(None, "failed", said)
        return Answer(said, "ok", said, digits(reply.logprobs) if question.digits else None)

    async def _reply(self, agent: int, known: tuple[Entry, ...], call: _Call, step: int) -> Completion | str:
        """The model's reply, or the reason why there is none. Raises only what every later call would share."""
        persona = self._persona(agent)
        system = system_text(self._setting.name(agent), persona.text, self._situation.get(agent, ""))
        examples = persona.examples[:3] if self._shows(agent) else ()
        form = self._backend.prompt_form if self._form == "auto" else self._form
        while True:
            chat = render(form, system, known, examples, call.question)
            try:
                reply = await self._backend.complete(
                    Request(chat, call.sampling, call.seed, purpose=call.purpose, schema=call.schema, agent=agent, step=step)
                )
            except BackendError as error:
                if error.fatal:
                    raise
                if error.reason != "context_overflow" or not known:
                    return error.reason
                known = newer_half(known)
                continue
            if reply.text.strip():
                return reply
            return reply.stop if reply.stop in REFUSED else f"empty_{reply.stop}"

    def _heed(self, k: int, agent: int, observation: Observation) -> None:
        """Who carries a gated strain shows it in this turn only if one of its words has just reached the agent."""
        gate = self._setting.personas[self._strain[agent]].gate if self._strain[agent] >= 0 else None
        if gate is not None:
            self._shut.add(agent)
            if gate.opens(heard(observation, k)):
                self._shut.remove(agent)

    def _shows(self, agent: int) -> bool:
        return self._strain[agent] >= 0 and agent not in self._shut

    def _persona(self, agent: int) -> Persona:
        return self._setting.personas[self._strain[agent]] if self._shows(agent) else self._setting.background

    def _written(self, agent: int) -> bool:
        """Whether an agent says written lines and not what a model makes up for it."""
        return self._strain[agent] >= 0 and self._index_voice == "written"

    def _up_to(self, most: int) -> Sampling:
        how = self._sampling
        return Sampling(how.temperature, how.top_p, most, how.repeat_penalty)
