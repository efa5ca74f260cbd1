"""A tribunal: agents read the same case and judge it; who is said to have written it can be swapped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from contagium.envs.message import Axes, Exposures, Mail, Messages
from contagium.envs.neighbours import heard_from_neighbours
from contagium.envs.network import Network
from contagium.envs.world import Act, Consequence, World

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Outcomes = dict[str, tuple[Ints, NDArray[Any]]]
Question = Literal["malice", "trust", "blame"]

TRUST, DISTRUST, BLAME_WRITER, BLAME_OTHER, BLAME_NOBODY = 8, 9, 10, 11, 12
ANSWERS: dict[Question, range] = {"malice": range(1, 8), "trust": range(8, 10), "blame": range(10, 13)}
ASKED: dict[Question, str] = {
    "malice": "You are to judge how malicious the message is: 1 is benign, 7 is malicious.",
    "trust": "You are to say whether you would trust {writer}.",
    "blame": "You are to say who is to blame for what went wrong: the writer of the message, the other one, or nobody.",
}


class Matter(BaseModel):
    """A case: what happened and what was written, with {writer} and {other} for the two it is between.

    grade: in [0, 1], how much malice was put into it by whoever wrote the case.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    grade: Annotated[float, Field(ge=0, le=1)] = 0.5

    @field_validator("text")
    @classmethod
    def _names_the_writer(cls, text: str) -> str:
        if "{writer}" not in text:
            raise ValueError("the text of a case must name the {writer}")
        return text

    def told(self, writer: str, other: str) -> str:
        """The case between these two."""
        told = self.text.replace("{writer}", "\0").replace("{other}", other).replace("\0", writer)
        return told[:1].upper() + told[1:]


SHORT = Matter(text="{writer} and {other} were late with a report. {writer} wrote: “I was waiting for your half of it.”")


@dataclass(frozen=True)
class Case:
    """A case as it is put before the raters. raters: (m,) ids, matched in pairs: the first two, the next two, and so on.

    rates: (N,) who is a rater. writer: (N,) place of the label of the writer that each of them is told. told: the case by that.
    """

    matter: Matter
    raters: Ints
    rates: Bools
    writer: Ints
    told: tuple[str, str]


class Tribunal(World):
    """In each step everybody says one thing to those the ties reach, and raters may answer a question on the case before them.

    A new case is read every `every` steps; its first steps ask the `questions`, one a step, any others are for talk. All raters
    read the same words. labels: two of them, key → words for a person; one is the writer's, the other that of whom it wrote to.
    writer: key of the writer's label, by default the first. swap: one of each matched pair of raters, drawn anew for each case,
    is told the labels the other way round. raters: share of agents who rate, drawn anew for each case. sting: by how much the
    valence of those who have an affect is pushed down as they read a case of grade 1, in proportion to the grade.

    No rewards, no end. Outcomes: `malice` (1 to 7), `trust`, `blamed_KEY` and `blamed_nobody` (0 or 1); `malice_KEY` and
    `trust_KEY` of those who were told that KEY wrote; with swap `bias`: in a pair, the malice seen where the first label writes,
    less the malice where the second does. Source of the measure, one message and an affect induced before: Keltner et al. 1993.
    """

    choices = (
        "no answer",
        *(f"malice {k}" for k in ANSWERS["malice"]),
        *("trust", "distrust", "blame the writer", "blame the other", "blame nobody"),
    )

    def __init__(
        self,
        network: Network,
        axes: Axes,
        matters: Annotated[tuple[Matter, ...], Field(min_length=1)] = (SHORT,),
        labels: dict[str, str] | None = None,
        writer: str | None = None,
        swap: bool = False,
        questions: Annotated[tuple[Question, ...], Field(min_length=1)] = ("malice", "trust", "blame"),
        every: Annotated[int, Field(ge=1)] = 3,
        raters: Annotated[float, Field(gt=0, le=1)] = 1.0,
        sting: Annotated[float, Field(ge=0, le=1)] = 0.0,
    ) -> None:
        super().__init__(network, axes)
        labels = labels or {"first": "a colleague of yours", "second": "another colleague"}
        if len(labels) != 2 or not all(key.isidentifier() and key != "nobody" for key in labels):
            raise ValueError(f"labels must be two, under keys that are words, got {', '.join(map(str, labels)) or 'none'}")
        if writer is not None and writer not in labels:
            raise ValueError(f"writer must be one of {', '.join(labels)}, got {writer!r}")
        if every < len(questions) or len(set(questions)) < len(questions):
            raise ValueError(f"questions must differ and fit into every={every} steps, got {', '.join(questions)}")
        self._matters, self._keys, self._labels = matters, tuple(labels), tuple(labels.values())
        self._writer = 0 if writer is None else self._keys.index(writer)
        self._swap, self._questions, self._every, self._share, self._sting = swap, questions, every, raters, sting

    def start(self) -> None:
        self._drawn = lru_cache(4)(self._draw)

    def case(self, step: int) -> Case:
        """The case that is before the raters at `step`."""
        return self._drawn(step // self._every)

    def question(self, step: int) -> Question | None:
        """What raters are asked at `step`; None: nothing."""
        k = step % self._every
        return self._questions[k] if k < len(self._questions) else None

    def allowed(self, step: int, agents: Ints) -> Bools:
        may = np.zeros((2, len(self.choices)), dtype=bool)
        may[:, 0] = True
        if (question := self.question(step)) is not None:
            may[1, list(ANSWERS[question])] = True
        return may[self.case(step).rates[agents].astype(np.int64)]

    def consequence(self, act: Act) -> Consequence:
        if np.any(act.choice >= len(self.choices)):
            raise ValueError(f"a choice must be below {len(self.choices)}, got {act.choice.max()}")
        size, case = self.network.size, self.case(self.step)
        answered = np.flatnonzero(act.choice > 0)
        agents, choice = act.agents[answered], act.choice[answered]
        match self.question(self.step):
            case "malice":
                outcomes = self._rated(case, agents, choice)
            case "trust":
                outcomes = self._by_label("trust", case, agents, choice == TRUST)
            case "blame":
                outcomes = self._blamed(case, agents, choice)
            case None:
                outcomes = {}
        return Consequence(np.zeros(size), np.zeros(size, dtype=bool), push=self._stung(), outcomes=outcomes)

    def describe(self, agent: int) -> str:
        case, question = self.case(self.step), self.question(self.step)
        if not case.rates[agent]:
            return "You talk with people around you, some of whom are judging a case. Each step you say one short thing."
        writer = int(case.writer[agent])
        asked = "" if question is None else " " + ASKED[question].replace("{writer}", self._labels[writer])
        return f"You and others talk about a case, and each step you say one short thing. The case: {case.told[writer]}{asked}"

    def answer(self, step: int, sender: Ints, mail: Mail) -> Ints:
        return mail.one(sender, self.streams.uniform("reply to", step, sender))

    def hear(self, step: int, board: Messages, readers: Ints) -> Exposures:
        return heard_from_neighbours(self, step, board, readers)

    def _draw(self, number: int) -> Case:
        """The `number`-th case: cases come in a random order, all before one comes again."""
        size, many = self.network.size, len(self._matters)
        matter = self._matters[self.streams.generator("matters", number // many).permutation(many)[number % many]]
        raters = self.streams.generator("raters", number).permutation(size)[: max(1, round(self._share * size))]
        rates, writer = np.zeros(size, dtype=bool), np.full(size, self._writer)
        rates[raters] = True
        if self._swap:
            writer[raters[1::2]] = 1 - self._writer
        first, second = self._labels
        return Case(matter, raters, rates, writer, (matter.told(first, second), matter.told(second, first)))

    def _rated(self, case: Case, agents: Ints, choice: Ints) -> Outcomes:
        malice = choice.astype(np.float64)
        outcomes = self._by_label("malice", case, agents, malice)
        if self._swap:
            rated = np.full(self.network.size, np.nan)
            rated[agents] = malice
            pairs = case.raters[: len(case.raters) // 2 * 2].reshape(-1, 2)
            pairs = pairs[np.argsort(pairs[:, 0])]
            first, second = rated[pairs if self._writer == 0 else pairs[:, ::-1]].T
            both = ~np.isnan(first - second)
            outcomes["bias"] = pairs[both, 0], (first - second)[both]
        return outcomes

    def _blamed(self, case: Case, agents: Ints, choice: Ints) -> Outcomes:
        # The writer's label is that at place `writer`, the other's the one at the place left.
        place = np.where(choice == BLAME_WRITER, case.writer[agents], 1 - case.writer[agents])
        place[choice == BLAME_NOBODY] = 2
        return {f"blamed_{key}": (agents, place == k) for k, key in enumerate((*self._keys, "nobody"))}

    def _by_label(self, name: str, case: Case, agents: Ints, value: NDArray[Any]) -> Outcomes:
        """What all answered, and what those did who were told that one or the other wrote."""
        parts = [(key, case.writer[agents] == k) for k, key in enumerate(self._keys)]
        return {name: (agents, value)} | {f"{name}_{key}": (agents[told], value[told]) for key, told in parts if told.any()}

    def _stung(self) -> NDArray[np.float64] | None:
        """What the case does that comes before the raters now."""
        if self._sting == 0 or (self.step + 1) % self._every:
            return None
        case = self.case(self.step + 1)
        push = np.zeros((self.network.size, 3))
        push[case.rates, 0] = -self._sting * case.matter.grade
        return push
