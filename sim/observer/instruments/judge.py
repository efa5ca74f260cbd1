"""A language model as instrument: it answers a rubric about each text, with quotations that are checked."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.agents.backends.backend import Backend, BackendError, Request, Sampling, Turn
from contagium.envs.rng import Streams
from contagium.sim.observer.instrument import INTERVIEW, MESSAGE, THOUGHT, Briefing, Channel, Material, Readings
from contagium.sim.observer.judging.fence import fenced, mark_of
from contagium.sim.observer.judging.panel import Verdict, as_readings, median, spread
from contagium.sim.observer.judging.rubric import CUT_OFF, NO_JSON, NOT_IN_FORM, PERSONAS, Rubric, Sheet
from contagium.sim.observer.texts import ILLEGIBLE, fingerprint, legible, spoken

RETEST = "retest"
KEPT = 512
"""Most messages that are kept to be judged again."""

Verdicts = list[list[list[Verdict]]]
"""By judge, section and text."""


class _Said(NamedTuple):
    """A text to be judged: its id, who said it, and the part of it that is read."""

    id: int
    agent: int
    text: str


@dataclass(frozen=True)
class _Pile:
    """What was said on a channel."""

    channel: Channel
    said: tuple[_Said, ...]

    @property
    def ids(self) -> NDArray[np.int64]:
        return np.array([one.id for one in self.said], dtype=np.int64)


class _Reservoir:
    """Earlier messages, at most `KEPT` of them: each has the same chance to be there, in whatever order they come."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._kept: list[tuple[int, _Said]] = []

    def draw(self, count: int, step: int) -> tuple[_Said, ...]:
        """So many of them, fewer where there are no more, by id."""
        by_chance = sorted(self._kept, key=lambda kept: self._streams.order("judge retest", step, kept[1].id))
        return tuple(sorted(one for _, one in by_chance[:count]))

    def keep(self, said: Iterable[_Said]) -> None:
        for one in said:
            # The lowest ranks of all stay, so the highest is at the root of the heap.
            ranked = -self._streams.order("judge keeps", one.id), one
            (heapq.heappush if len(self._kept) < KEPT else heapq.heappushpop)(self._kept, ranked)


@dataclass(frozen=True)
class _Judge:
    """One of those who judge: a model, and which of its repeats. name: of its own readings."""

    name: str
    backend: Backend
    repeat: int


class Judge:
    """Asks language models the questions of a rubric about each text, one text a call.

    rubric: what is asked; docs/judge.md. sections: those of its sections that are asked. apart: each section in a call of its
    own, which small models need and which keeps one answer from colouring the next; else all in one call. repeats: judgements
    by each model, with different seeds. retest: for each message judged, so many earlier ones are judged again, and read as
    `<name>.retest`. channels: what is judged; "interview" stands for all items in free words. temperature, max_tokens: sampling;
    None: what the form takes if each quotation is a sentence.

    Columns are those of the rubric. With several judgements each is also read for itself, as `<name>.<model>`, `<name>.<k>` or
    `<name>.<model>.<k>`, and `<name>` is their median with `<column>.spread` (highest less lowest) beside it. A section fails
    alone where its answer is not in the form, or a number above 0 that needs a quotation has none that occurs in the text; so
    does a call that fails. Only a failure that every later call would share is raised (`BackendError.fatal`).

    The same text is asked about in the same words whoever says it, so that a journal answers for it the second time.
    """

    def __init__(
        self,
        rubric: Rubric,
        sections: tuple[str, ...],
        apart: bool = True,
        repeats: Annotated[int, Field(ge=1)] = 1,
        retest: Annotated[float, Field(ge=0, le=1)] = 0.0,
        channels: tuple[Channel, ...] = (MESSAGE,),
        temperature: Annotated[float, Field(ge=0)] = 0.0,
        max_tokens: Annotated[int, Field(ge=1)] | None = None,
        name: str = "judge",
    ) -> None:
        if unknown := [section for section in sections if section not in rubric.names]:
            raise ValueError(f"no section {unknown[0]!r} in the rubric; it has {', '.join(rubric.names)}")
        if unknown := [c for c in channels if c.partition(":")[0] not in (MESSAGE, THOUGHT, INTERVIEW)]:
            raise ValueError(
                f"no channel {unknown[0]!r} to judge; there are {MESSAGE}, {THOUGHT}, {INTERVIEW} and {INTERVIEW}:<item>"
            )
        if not sections or len(set(sections)) != len(sections):
            raise ValueError(f"sections must be different names, at least one, got {list(sections)}")
        self.name = name
        self._rubric, self._sections, self._apart = rubric, sections, apart
        self._repeats, self._retest, self._channels = repeats, retest, channels
        self._temperature, self._max_tokens = temperature, max_tokens
        self._judges: list[_Judge] = []

    @property
    def public(self) -> bool:
        return MESSAGE in self._channels

    def begin(self, briefing: Briefing) -> None:
        if not briefing.backends:
            raise ValueError("a judge needs a language model: backend: ${backend}, or several by name")
        if RETEST in briefing.backends:
            raise ValueError(f"a judge may not be called {RETEST}: its readings are called {self.name}.{RETEST}")
        self._streams = briefing.streams
        self._judges = [
            _Judge(self._label(model, k), backend, k)
            for model, backend in briefing.backends.items()
            for k in range(self._repeats)
        ]
        wanted = [section for section in self._sections if section != PERSONAS or briefing.personas]
        parts = [self._rubric.part(section, briefing.personas) for section in wanted]
        columns = [column for part in parts for column in part.columns]
        if twice := {column for column in columns if columns.count(column) > 1}:
            raise ValueError(f"the columns of a rubric must differ, but {min(twice)} is there twice")
        self._parts = parts
        self._sheets = [Sheet(self._rubric, [part]) for part in parts] if self._apart else [Sheet(self._rubric, parts)]
        self._reservoir = _Reservoir(briefing.streams)

    @property
    def calls_per_text(self) -> float:
        """Calls a message takes at most, retries aside and those for other channels apart. Available after `begin`."""
        return len(self._judges) * len(self._sheets) * (1 + self._retest)

    @property
    def provenance(self) -> dict[str, Any]:
        return {
            "rubric": fingerprint(*(f"{sheet.system}\n{sheet.schema}\n{sheet.reminder}" for sheet in self._sheets)),
            "sections": [part.name for part in self._parts],
            "models": {judge.name: judge.backend.model for judge in self._judges},
            "apart": self._apart,
            "repeats": self._repeats,
            "retest": self._retest,
            "channels": list(self._channels),
            "temperature": self._temperature,
        }

    async def read(self, material: Material) -> list[Readings]:
        if not self._parts:
            return []
        step, piles = material.step, self._piles(material)
        again = self._earlier(step, piles)  # before anything is waited for: the next step may be read meanwhile
        async with asyncio.TaskGroup() as group:
            first = [group.create_task(self._judged(pile, step)) for pile in piles]
            second = group.create_task(self._judged(again, step, 1 + step)) if again.said else None
        found = [reading for pile, task in zip(piles, first, strict=True) for reading in self._read(pile, task.result())]
        return found + (self._combined(f"{self.name}.{RETEST}", again, second.result()) if second is not None else [])

    def _label(self, model: str, repeat: int) -> str:
        return ".".join(part for part in (self.name, model, str(repeat + 1) if self._repeats > 1 else "") if part)

    def _piles(self, material: Material) -> list[_Pile]:
        sender = dict(zip(material.messages.id.tolist(), material.messages.sender.tolist(), strict=True))
        piles = []
        for channel, ids, texts in spoken(material):
            if channel.partition(":")[0] in self._channels or channel in self._channels:
                agents = [sender[i] if channel == MESSAGE else i for i in ids.tolist()]
                said = map(_Said, ids.tolist(), agents, map(legible, texts))
                piles.append(_Pile(channel, tuple(said)))
        return piles

    def _earlier(self, step: int, piles: Sequence[_Pile]) -> _Pile:
        """Messages of earlier steps to be judged again; those of this step are kept for later."""
        if not self._retest:
            return _Pile(MESSAGE, ())
        now = [one for pile in piles if pile.channel == MESSAGE for one in pile.said]
        count = int(self._retest * len(now) + self._streams.generator("judge retest", step).random())
        drawn = self._reservoir.draw(count, step)
        self._reservoir.keep(one for one in now if one.text)
        return _Pile(MESSAGE, drawn)

    async def _judged(self, pile: _Pile, step: int, again: int = 0) -> Verdicts:
        async with asyncio.TaskGroup() as group:

            def ask(judge: _Judge, sheet: Sheet, said: _Said) -> asyncio.Task[list[Verdict]]:
                return group.create_task(self._ask(judge, sheet, said, step, again))

            asked = [[[ask(judge, sheet, one) for one in pile.said] for sheet in self._sheets] for judge in self._judges]
        return [
            [
                [task.result()[place] for task in tasks]
                for sheet, tasks in zip(self._sheets, of_judge, strict=True)
                for place in range(len(sheet.parts))
            ]
            for of_judge in asked
        ]

    async def _ask(self, judge: _Judge, sheet: Sheet, said: _Said, step: int, again: int) -> list[Verdict]:
        """A verdict for each section of the sheet. again: 0, or another number for each time that this text is judged anew."""
        text = said.text
        if not text:
            return sheet.failed(ILLEGIBLE)
        mark = mark_of(text, self._streams)
        request = Request(
            messages=(
                Turn("system", sheet.system),
                Turn("user", f"{fenced(text, mark)}\n\n{sheet.reminder.replace('{mark}', mark)}"),
            ),
            sampling=Sampling(self._temperature, top_p=1.0, max_tokens=self._max_tokens or sheet.tokens),
            seed=self._streams.order(f"{judge.name} {mark}", again) % 2**31,
            replicate=judge.repeat + self._repeats * again,
            purpose=":".join((self.name, *(part.name for part in sheet.parts))),
            schema=sheet.schema,
            agent=said.agent,
            step=step,
        )
        try:
            reply = await judge.backend.complete(request)
        except BackendError as error:
            if error.fatal:
                raise
            return sheet.failed(error.reason)
        if reply.stop in ("refusal", "filter"):
            return sheet.failed(reply.stop)
        verdicts = sheet.read(reply.text, text, mark)
        cut = reply.stop == "length" and all(verdict.reason in (NO_JSON, NOT_IN_FORM) for verdict in verdicts)
        return sheet.failed(CUT_OFF) if cut else verdicts

    def _read(self, pile: _Pile, verdicts: Verdicts) -> list[Readings]:
        """The readings of a pile: combined, and where there are several judgements each for itself."""
        alone = [
            as_readings(judge.name, pile.channel, pile.ids, part.columns, rows)
            for judge, by_part in zip(self._judges, verdicts, strict=True)
            for part, rows in zip(self._parts, by_part, strict=True)
            if len(self._judges) > 1
        ]
        return self._combined(self.name, pile, verdicts) + alone

    def _combined(self, name: str, pile: _Pile, verdicts: Verdicts) -> list[Readings]:
        found = []
        for place, part in enumerate(self._parts):
            by_text = list(zip(*(by_part[place] for by_part in verdicts), strict=True))
            middle = [median(rows, part.columns) for rows in by_text]
            found.append(as_readings(name, pile.channel, pile.ids, part.columns, middle))
            if len(self._judges) > 1:
                columns = tuple(f"{column}.spread" for column in part.columns)
                # Where fewer than two answered there is no distance to speak of, and their own readings say that they failed.
                told = [row for row, verdicts in enumerate(by_text) if sum(v.values is not None for v in verdicts) > 1]
                apart = [spread(by_text[row]) for row in told]
                found.append(as_readings(name, pile.channel, pile.ids[told], columns, apart))
        return found
