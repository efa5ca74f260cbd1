"""Messages withheld from readers by what they feel like: the design of Kramer, Guillory & Hancock 2014."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Exposures, Messages, row_pointer
from contagium.sim.intervention.base import Ground, Intervention, Moment, Passage, Point
from contagium.sim.intervention.hands import Done, Hands
from contagium.sim.observer.instrument import MESSAGE, Instrument, Material
from contagium.sim.observer.instruments.lexicon import Lexicon

Rate = Annotated[float, Field(ge=0, le=1)]
VALENCE = 0


class Withholding(Intervention):
    """Each reader in the scope is kept from a share of its own of the messages of one `tone`; each exposure is drawn by itself.

    The share is drawn once for each reader, in whole per cents between `least` and `most`. tone: of valence below −beyond, or
    above beyond, as the message states it or else as `instrument` reads it (None: the lexicon); a message that is neither stated
    nor read has no tone. at_random: the control, in which a reader is kept from as many messages in each step, of whatever tone:
    they are counted by the same draws, and then any of what it was to hear are taken, each as likely. Shares and draws are the
    same in all arms of a seed.

    Logged: `share`, as a reader comes into the scope; `stopped`. Source: Kramer, Guillory & Hancock 2014, who withheld 10 to 90%
    by reader; their control withheld at the mean frequency of the tone, where here each reader's count is matched.
    """

    points: ClassVar[tuple[Point, ...]] = ("transit",)

    def __init__(
        self,
        tone: Literal["negative", "positive"],
        at_random: bool = False,
        least: Rate = 0.1,
        most: Rate = 0.9,
        beyond: Annotated[float, Field(ge=0, lt=1)] = 0.05,
        instrument: Instrument | None = None,
    ) -> None:
        if least > most or most == 0:
            raise ValueError(f"shares must be least ≤ most and most above 0, got {least} and {most}")
        self._sign = -1 if tone == "negative" else 1
        self._at_random, self._between, self._beyond = at_random, (least, most), beyond
        self._instrument = instrument or Lexicon()

    def begin(self, ground: Ground) -> None:
        if not self._instrument.public:
            raise ValueError(f"{self._instrument.name} does not read messages")
        model = {} if ground.model is None else {"": ground.model}
        self._instrument.begin(replace(ground.briefing, backends=model))
        self._board = Messages.empty(len(ground.axes))
        self._memory = ground.world.memory
        self._share: NDArray[np.float64] | None = None

    def before(self, moment: Moment, hands: Hands) -> None:
        share = self._shares(moment)
        for each in np.unique(share[moment.fresh]).tolist():
            agents = np.flatnonzero(moment.fresh & (share == each))
            hands.done.append(Done(hands.name, "share", agents, None, f"{each:g}"))

    async def transit(self, moment: Moment, messages: Messages) -> Passage:
        valence = messages.expression[:, VALENCE].copy()
        if messages.text and np.isnan(valence).any():
            read = await self._read(moment, messages)
            valence = np.where(np.isnan(valence), read, valence)
        # What a message feels like is needed for as long as it may be heard.
        heard = replace(messages, expression=valence[:, None], text={})
        old = self._board.take(self._board.step > moment.step - self._memory)
        self._board = old.concat(heard) if len(old) else heard
        return Passage.free(messages)

    def stops(self, moment: Moment, exposures: Exposures) -> NDArray[np.bool_]:
        stopped = np.zeros(len(exposures), dtype=bool)
        mine = np.flatnonzero(moment.among[exposures.agent])
        reader, message = exposures.agent[mine], exposures.message[mine]
        toned = self._sign * self._board.expression[self._board.rows(message), 0] > self._beyond
        rng, name = moment.rng, "withholding"
        omitted = toned & (_draw(rng.key(name, moment.step), reader, message) < self._shares(moment)[reader])
        if self._at_random:
            omitted = _as_many(omitted, reader, _draw(rng.key(f"{name} at random", moment.step), reader, message))
        stopped[mine[omitted]] = True
        return stopped

    def _shares(self, moment: Moment) -> NDArray[np.float64]:
        """The share of each agent, (N,)."""
        if self._share is None:
            (least, most), everybody = self._between, np.arange(len(moment.among))
            draw = moment.rng.uniform("withholding share", 0, everybody)
            self._share = np.clip(np.round(least + (most - least) * draw, 2), least, most)
        return self._share

    async def _read(self, moment: Moment, messages: Messages) -> NDArray[np.float32]:
        """The valence that the instrument reads in each message, (n,), NaN where none. ValueError: it does not read valence."""
        found = np.full(len(messages), np.nan, dtype=np.float32)
        readings = [read for read in await self._instrument.read(Material(moment.step, messages)) if read.channel == MESSAGE]
        if readings and not any("valence" in read.columns for read in readings):
            raise ValueError(f"{self._instrument.name} does not read valence")
        for read in (read for read in readings if "valence" in read.columns):
            found[messages.rows(read.ids)] = read.on(("valence",))[:, 0]
        return found


def _as_many(omitted: NDArray[np.bool_], reader: NDArray[np.int64], draw: NDArray[np.float64]) -> NDArray[np.bool_]:
    """As many of the exposures (m,) of each reader as `omitted` has of it: those with its lowest draws."""
    size = int(reader.max(initial=-1)) + 1
    # The exposures of a reader stand together and stay so; among them the lowest draw comes first.
    order = np.argsort(reader.astype(np.uint64) << np.uint64(32) | (draw * 2.0**32).astype(np.uint64))
    rank = np.arange(len(order)) - row_pointer(reader, size)[reader]
    chosen = np.zeros_like(omitted)
    chosen[order] = rank < np.bincount(reader[omitted], minlength=size)[reader]
    return chosen


def _draw(key: int, reader: NDArray[np.int64], message: NDArray[np.int64]) -> NDArray[np.float64]:
    """One draw in [0, 1) for each reader and message (m,), whatever else is heard, by SplitMix64 (Steele, Lea & Flood 2014)."""
    word = _mixed(np.uint64(key) ^ _mixed(reader.astype(np.uint64)))
    return (_mixed(word ^ _mixed(~message.astype(np.uint64))) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    word = word + np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))
