"""Messages heard in other words."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from contagium.agents.backends.backend import Backend, BackendError
from contagium.envs.message import Messages
from contagium.sim.intervention.base import Ground, Intervention, Moment, Passage, Point
from contagium.sim.intervention.hands import Done, Hands
from contagium.sim.intervention.marks import must_use_words
from contagium.sim.observer.judging.fence import mark_of
from contagium.sim.observer.observer import Seen
from contagium.sim.wording import in_other_words, unable


class Paraphrase(Intervention):
    """What agents in the scope say is heard as the model under `backend` puts it. Logged: `edited`, `failed` with the reason.

    The model is shown each text as material, between tags that its writer could not know. on_failure: what becomes of a message
    for which there is no paraphrase. trial: before the first, the model must put two plain sentences in other words; one that
    cannot ends the run. Hearers that go by numbers hear what was read in the message as it was said.
    """

    points: ClassVar[tuple[Point, ...]] = ("transit",)

    def __init__(self, on_failure: Literal["withhold", "pass"] = "withhold", trial: bool = True) -> None:
        self._withholds, self._trial = on_failure == "withhold", trial

    def begin(self, ground: Ground) -> None:
        must_use_words(ground, "a paraphrase")
        if ground.model is None:
            raise ValueError("a paraphrase needs a language model: name one under backend")
        self._model: Backend = ground.model
        self._failed: dict[int, str] = {}

    async def transit(self, moment: Moment, messages: Messages) -> Passage:
        mine = messages.take(moment.among[messages.sender]) if messages.text else Messages.empty(messages.expression.shape[1])
        if self._trial and mine.text:
            await self._try(moment)
        # A task group ends all calls when one fails for good.
        async with asyncio.TaskGroup() as group:
            asked = {
                i: group.create_task(self._said(moment, i, agent, mine.text[i]))
                for i, agent in zip(mine.id.tolist(), mine.sender.tolist(), strict=True)
                if i in mine.text
            }
        done = {i: task.result() for i, task in asked.items()}
        new = {i: said for i, (said, _) in done.items() if said is not None}
        self._failed = {i: str(reason) for i, (said, reason) in done.items() if said is None}
        lost = np.isin(messages.id, list(self._failed)) & self._withholds
        return Passage(replace(messages, text={**messages.text, **new}) if new else messages, lost)

    def after(self, moment: Moment, sent: Messages, seen: Seen, hands: Hands) -> None:
        if self._failed:
            ids = np.array(list(self._failed), dtype=np.int64)
            hands.done.append(Done(hands.name, "failed", ids % len(moment.among), ids, self._failed))

    async def _said(self, moment: Moment, message: int, agent: int, text: str) -> tuple[str | None, str | None]:
        seed = moment.rng.integer(f"{moment.stream}:paraphrase", message)
        return await in_other_words(self._model, text, seed, agent, moment.step, mark_of(text, moment.rng))

    async def _try(self, moment: Moment) -> None:
        """BackendError: the model is not to be trusted with paraphrases."""
        if (reason := await unable(self._model, moment.rng, mark_of(moment.stream, moment.rng), moment.step)) is not None:
            raise BackendError(f"{reason}, so that it cannot paraphrase messages", reason="unable", fatal=True)
        self._trial = False
