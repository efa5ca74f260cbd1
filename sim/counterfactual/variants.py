"""What is changed in what an agent saw: a message masked, made neutral, said in other words; and a placebo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contagium.agents.backends.backend import Backend
from contagium.agents.mechanistic.bank import from_file
from contagium.envs.rng import Streams
from contagium.sim.counterfactual.cases import Case, Heard, earlier, others
from contagium.sim.counterfactual.sign import Sign
from contagium.sim.counterfactual.tape import Swaps
from contagium.sim.reading import Run
from contagium.sim.wording import in_other_words, unable

MASKED, NEUTRAL, PARAPHRASED, PLACEBO = "masked", "neutral", "paraphrased", "placebo"
VARIANTS = (MASKED, NEUTRAL, PARAPHRASED, PLACEBO)

TRIED = 6
"""Texts of a sender, and posts of the laboratory, among which a neutral one is looked for."""


@dataclass(frozen=True)
class Change:
    """A variant of what an agent saw. messages: those changed, with their senders. text: what one of them became.

    probability: of the messages together, as the observer shares the cause out. reason: why this variant cannot be had.
    """

    variant: str
    messages: tuple[int, ...]
    sources: tuple[int, ...]
    probability: float
    text: str | None = None
    reason: str | None = None

    @property
    def swaps(self) -> Swaps:
        return dict.fromkeys(self.messages, self.text)


def _change(variant: str, of: Sequence[Heard], text: str | None = None, reason: str | None = None) -> Change:
    messages, sources = tuple(one.message for one in of), tuple(dict.fromkeys(one.source for one in of))
    return Change(variant, messages, sources, sum(one.probability for one in of), text, reason)


class Variants:
    """Makes the changes of a case. wanted: of VARIANTS. together: also all candidates masked at once. neutral: a given text;
    None: one is looked for.
    """

    def __init__(self, run: Run, wanted: Sequence[str], together: bool, neutral: str | None) -> None:
        self._run, self._wanted, self._together, self._neutral = run, wanted, together, neutral
        self._streams = Streams(run.meta["seed"])
        self._able: dict[str, str | None] = {}

    async def of(self, case: Case, sign: Sign, backend: Backend) -> list[Change]:
        """The changes of a case: one by one for each candidate, then the joint one and the placebo."""
        changes = []
        for heard in case.candidates:
            if MASKED in self._wanted:
                changes.append(_change(MASKED, [heard]))
            if NEUTRAL in self._wanted:
                changes.append(await self._made_neutral(case, heard, sign))
            if PARAPHRASED in self._wanted:
                changes.append(await self._paraphrased(case, heard, backend))
        if self._together and len(case.candidates) > 1:
            changes.append(_change(MASKED, case.candidates))
        if PLACEBO in self._wanted:
            changes.append(await self._placebo(case, sign))
        return changes

    async def _made_neutral(self, case: Case, heard: Heard, sign: Sign) -> Change:
        if heard.text is None:
            return _change(NEUTRAL, [heard], reason="the message has no words")
        given = [self._neutral] if self._neutral else earlier(self._run, heard, TRIED) + self._posts(heard)
        free = await sign.free(given, case.agent, case.onset)
        found = next((text for text, shows_nothing in zip(given, free, strict=True) if shows_nothing), None)
        return _change(NEUTRAL, [heard], found, None if found else f"no neutral text: all {len(given)} show {case.strain}")

    def _posts(self, heard: Heard) -> list[str]:
        posts = from_file().texts
        drawn = self._streams.generator("counterfactual neutral", heard.message).permutation(len(posts))[:TRIED]
        return [posts[k] for k in drawn]

    async def _placebo(self, case: Case, sign: Sign) -> Change:
        """The newest message in words that the agent heard with the candidates and that shows nothing."""
        heard = others(self._run, case, sign.window)
        free = await sign.free([one.text for one in heard], case.agent, case.onset)
        found = [one for one, shows_nothing in zip(heard, free, strict=True) if shows_nothing][:1]
        return _change(PLACEBO, found, reason=None if found else "nothing else was heard that could be read and shows nothing")

    async def _paraphrased(self, case: Case, heard: Heard, backend: Backend) -> Change:
        if heard.text is None:
            return _change(PARAPHRASED, [heard], reason="the message has no words")
        if backend.model not in self._able:
            self._able[backend.model] = await unable(backend, self._streams)
        if (reason := self._able[backend.model]) is not None:
            return _change(PARAPHRASED, [heard], reason=reason)
        seed = self._streams.integer("counterfactual paraphrase", heard.message)
        said, reason = await in_other_words(backend, heard.text, seed, case.agent, case.onset)
        return _change(PARAPHRASED, [heard], said, reason)
