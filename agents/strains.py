"""What the texts of a strain are made of: lines that can do without a facet, ways to carry them, gates and mutation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from contagium.envs.rng import Streams

if TYPE_CHECKING:
    from contagium.agents.policy import Setting
    from contagium.envs.world import Observation

PLAIN = "plain"
"""Names a version that carries no facet."""

FACETS = re.compile(r"[a-z]\w*(?: [a-z]\w*)*")


def _named(piece: str | dict[str, str]) -> str | dict[str, str]:
    for key, version in piece.items() if isinstance(piece, dict) else ():
        if not FACETS.fullmatch(key):
            raise ValueError(f"facets are words in small letters with spaces between them, got {key!r}")
        if not version.strip():
            raise ValueError(f"a version of a sentence must say something, got an empty one under {key!r}")
    return piece


Piece = Annotated[str | dict[str, str], AfterValidator(_named)]
"""A sentence, or its versions: the facets that a version carries, with spaces between them → how it then reads. The first version
that carries nothing of what is left out is the one that stands; where there is none, the sentence falls away. A plain string
carries no facet."""

Line = Piece | tuple[Piece, ...]
"""What is said or told in one go: one sentence or several."""


def left(line: Line, out: Iterable[str]) -> str:
    """What is left of a line when these facets are left out; empty where nothing is."""
    gone = set(out)
    versions = (_versions(piece) for piece in _pieces(line))
    kept = (next((text for carries, text in piece if not carries & gone), "") for piece in versions)
    return " ".join(text for text in kept if text)


def carried_by(line: Line) -> set[str]:
    """The facets that any version of its sentences carries."""
    return {facet for piece in _pieces(line) for carries, _ in _versions(piece) for facet in carries}


def _pieces(line: Line) -> tuple[Piece, ...]:
    return line if isinstance(line, tuple) else (line,)


def _versions(piece: Piece) -> Iterator[tuple[set[str], str]]:
    if isinstance(piece, str):
        yield set(), piece
    else:
        yield from ((set(key.split()) - {PLAIN}, text) for key, text in piece.items())


class Carriage(BaseModel):
    """The texts of a persona in one way of carrying it. text, examples: as of `Persona`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Line = ""
    examples: Annotated[tuple[Line, ...], Field(min_length=1)]


Trigger = Annotated[str, Field(pattern=r"^\s*\w")]


class Gate(BaseModel):
    """A strain behind triggers: its carrier shows it in a turn only if one of `words` stands in what it has just read.

    words: words or phrases, in any case; a trailing * matches any ending. held_out: triggers that no carrier ever answers to,
    kept for the test whether others who took the strain up show it at them too; none of them may open the gate.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    words: Annotated[tuple[Trigger, ...], Field(min_length=1)]
    held_out: tuple[Trigger, ...] = ()

    @model_validator(mode="after")
    def _held_out_stays_out(self) -> Gate:
        for word in self.held_out:
            if self.opens((word,)):
                raise ValueError(f"held_out: {word!r} opens the gate already (words: {', '.join(self.words)})")
        return self

    def opens(self, texts: Iterable[str]) -> bool:
        """Whether one of the words stands in one of the texts."""
        return any(_any_of(self.words).search(text) for text in texts)

    def tests(self, texts: Iterable[str]) -> bool:
        """Whether one of the held-out triggers stands in one of the texts."""
        return bool(self.held_out) and any(_any_of(self.held_out).search(text) for text in texts)


@lru_cache(64)
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    marks = (re.escape(word.strip().rstrip("*")) + r"\w*" * word.strip().endswith("*") for word in words)
    return re.compile(rf"(?<!\w)(?:{'|'.join(marks)})(?!\w)", re.IGNORECASE)


class Mutation(BaseModel):
    """Errors in handing a strain on: in a share `rate` of its turns a carrier of written lines says a variant.

    lines: the variants. Or loses: facets, one of which, each as likely, is then left out of what it says. What a model says is
    never changed: it mutates by itself, if it does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: Annotated[float, Field(ge=0, le=1)]
    lines: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    loses: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Mutation:
        if bool(self.lines) == bool(self.loses):
            raise ValueError("mutation needs either lines or facets that it loses, and not both")
        return self

    def draw(self, step: int, agent: int, rng: Streams) -> str | None:
        """None: nothing mutates in this turn; else the facet that is lost, empty where one of `lines` is said instead."""
        chance = rng.generator("mutation", step, agent)
        if chance.random() >= self.rate:
            return None
        return self.loses[chance.integers(len(self.loses))] if self.loses else ""


def refuse_gates(setting: Setting) -> None:
    """ValueError: index agents of a policy that reads no words carry a strain that waits for one."""
    carried = setting.population.strain[setting.agents]
    for k, persona in enumerate(setting.personas):
        if persona.gate is not None and (carried == k).any():
            raise ValueError(f"gate: persona {persona.name} waits for words, so its index agents must speak or be scripted")


def heard(observation: Observation, k: int) -> Iterator[str]:
    """All words that have just reached the k-th observed agent: posts, news of the world and of pressure events."""
    inbox = observation.inbox
    ids = inbox.messages.id[inbox.row[inbox.indptr[k] : inbox.indptr[k + 1]]].tolist()
    yield from (inbox.messages.text[i] for i in ids if i in inbox.messages.text)
    agent = int(observation.agents[k])
    if agent in observation.news:
        yield observation.news[agent]
    if observation.pressure is not None:
        yield from observation.pressure.news(k)
