"""Speaking agents: a language model says, for each agent, what it would say next."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from contagium.agents.backends.backend import Backend, BackendError, PromptForm, Request, Sampling, Turn
from contagium.agents.memory import Entry, Window
from contagium.agents.persona import Persona
from contagium.agents.policy import Setting
from contagium.agents.prompt import feeling_question, render, system_text
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation


class Speaking:
    """Each agent sees its persona, its situation and what it remembers, and posts one message.

    index_voice: whether index agents say the lines their persona is written with ("written": they shed steadily and cost no call)
    or the model plays them with those lines as examples ("model"). prompt: form of the prompt, "auto" asks the backend.
    temperature, top_p, max_tokens, repeat_penalty: sampling. memory: posts read, own posts and news kept in mind.

    A call for a post that fails leaves the agent's turn missing, with the reason; only a failure that every later call would
    share is raised (`BackendError.fatal`).
    """

    def __init__(
        self,
        index_voice: Literal["written", "model"] = "written",
        prompt: PromptForm | Literal["auto"] = "auto",
        temperature: Annotated[float, Field(ge=0)] = 0.8,
        top_p: Annotated[float, Field(gt=0, le=1)] = 0.95,
        max_tokens: Annotated[int, Field(ge=1)] = 40,
        repeat_penalty: Annotated[float, Field(ge=1)] = 1.1,
        memory: Window | None = None,
    ) -> None:
        self._index_voice = index_voice
        self._form = prompt
        self._sampling = Sampling(temperature, top_p, max_tokens, repeat_penalty)
        self._memory = memory or Window()

    speaks = True

    def begin(self, setting: Setting) -> None:
        if setting.backend is None:
            raise ValueError("speaking agents need a language model: choose one with backend=…")
        index = np.unique(setting.population.strain[setting.agents])
        for persona in (setting.personas[k] for k in index[index >= 0]):
            if self._index_voice == "written" and not persona.examples:
                raise ValueError(
                    f"persona {persona.name} has no examples for index agents to say; let the model, index_voice=model"
                )
        self._setting = setting
        self._backend: Backend = setting.backend
        self._memory.clear()

    async def act(self, observation: Observation, rng: Streams) -> Act:
        # A task group ends all turns when one fails for good, so that no call is left running behind a stopped run.
        async with asyncio.TaskGroup() as group:
            turns = [group.create_task(self._turn(k, int(agent), observation, rng)) for k, agent in enumerate(observation.agents)]
        act = Act.idle(observation.agents, len(self._setting.axes))
        for k, (agent, turn) in enumerate(zip(observation.agents.tolist(), turns, strict=True)):
            said, feeling, failure = turn.result()
            act.says[k] = said is not None
            for column, value in ((act.text, said), (act.report, feeling), (act.missing, failure)):
                if value is not None:
                    column[agent] = value
        return act

    async def _turn(
        self, k: int, agent: int, observation: Observation, rng: Streams
    ) -> tuple[str | None, str | None, str | None]:
        """One agent's turn: what it says, what it reports to feel, and why its turn is missing."""
        self._read(k, agent, observation, rng)
        step, known = observation.step, self._memory.of(agent)
        situation = observation.describe(agent)
        try:
            if self._is_index(agent) and self._index_voice == "written":
                lines = self._persona(agent).examples
                said = lines[rng.generator("written voice", step, agent).integers(len(lines))]
            else:
                said = await self._say(self._chat(agent, situation, known), agent, step, rng)
        except BackendError as error:
            if error.fatal:
                raise
            return None, None, error.reason
        self._memory.add(agent, Entry("own", self._setting.name(agent), said))
        if not self._reports(step):
            return said, None, None
        question = feeling_question(self._setting.feelings)
        return said, await self._report(self._chat(agent, situation, known, question), agent, step, rng), None

    async def _say(self, chat: tuple[Turn, ...], agent: int, step: int, rng: Streams) -> str:
        seed = rng.integer("speak", step, agent)
        reply = await self._backend.complete(Request(chat, self._sampling, seed, agent=agent, step=step))
        text = " ".join(_unicode(reply.text).split())
        if not text:
            raise BackendError("the model replied with an empty text", reason=f"empty_{reply.stop}")
        return text

    async def _report(self, chat: tuple[Turn, ...], agent: int, step: int, rng: Streams) -> str | None:
        """What the agent says it feels; None if the call failed, which the log of calls keeps: its post stands all the same."""
        schema: Mapping[str, Any] = {
            "type": "object",
            "properties": {"feeling": {"type": "string", "enum": list(self._setting.feelings)}},
            "required": ["feeling"],
            "additionalProperties": False,
        }
        sampling = Sampling(temperature=0.8, max_tokens=24)
        seed = rng.integer("self_report", step, agent)
        request = Request(chat, sampling, seed, purpose="self_report", schema=schema, agent=agent, step=step)
        try:
            reply = await self._backend.complete(request)
        except BackendError as error:
            if error.fatal:
                raise
            return None
        try:
            return _unicode(str(json.loads(reply.text)["feeling"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            # Kept as it came: the self-report instrument counts what is not in the list as a failed reading.
            return _unicode(reply.text)

    def _read(self, k: int, agent: int, observation: Observation, rng: Streams) -> None:
        """Take the inbox and the news of this step into memory.

        Messages of the same step come in a random order: a model heeds what it reads last, and ids would favour some agents.
        """
        name = self._setting.name
        messages = observation.inbox.of(k)
        # A draw for each message by its id: one message less must not reorder the others.
        shuffled = [rng.generator("reading order", observation.step, agent, message).random() for message in messages.id.tolist()]
        messages = messages.take(np.lexsort((np.asarray(shuffled), messages.step)))
        for message, sender in zip(messages.id.tolist(), messages.sender.tolist(), strict=True):
            if message in messages.text:
                self._memory.add(agent, Entry("read", name(sender), messages.text[message]))
        if observation.pressure is not None:
            for text in observation.pressure.news(k):
                self._memory.add(agent, Entry("news", "", text))

    def _chat(self, agent: int, situation: str, known: Sequence[Entry], question: str = "") -> tuple[Turn, ...]:
        persona = self._persona(agent)
        system = system_text(self._setting.name(agent), persona.text, situation)
        return render(self._prompt_form, system, known, persona.examples[:3] if self._is_index(agent) else (), question)

    @property
    def _prompt_form(self) -> PromptForm:
        return self._backend.prompt_form if self._form == "auto" else self._form

    def _is_index(self, agent: int) -> bool:
        return bool(self._setting.population.strain[agent] >= 0)

    def _persona(self, agent: int) -> Persona:
        strain = self._setting.population.strain[agent]
        return self._setting.personas[strain] if strain >= 0 else self._setting.background

    def _reports(self, step: int) -> bool:
        every = self._setting.report_every
        return every > 0 and step % every == 0


def _unicode(text: str) -> str:
    """The text with lone surrogates, which no file can hold, replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")
