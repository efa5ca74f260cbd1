"""How a persona was taken up: who said what when, and whether in own words or by copying what was heard."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.agents.persona import Persona
from contagium.sim.analysis.spread.epidemic import chosen_strain, last_step, measure_of, onsets
from contagium.sim.log import Run

COPIED_FROM = 0.5
"""Share of a message's word sequences heard before from which it counts as copied."""

WORDS = 4
"""Length of the word sequences compared; a shorter message is compared whole."""

OWN_WORDS, COPIED, NO_TEXT = "own_words", "copied", "no_text"
SCORED, SILENT, MISSING, UNREAD = range(4)
"""States of a cell of `Scores`: it has a score; nothing was said (or logged); the turn is missing; what was said has no score."""


PUNCTUATION = str.maketrans({sign: " " for sign in (*string.punctuation, *map(chr, range(32)), chr(127)) if sign not in "_'"})


def words(text: str) -> tuple[str, ...]:
    """The words of a text in lower case, without punctuation; an apostrophe inside a word stays."""
    return tuple(re.findall(r"\w+(?:['\u2019]\w+)*", text.casefold()))


def joined(text: str) -> str:
    """The words of a text between single blanks, one before the first and one behind the last: " the words "."""
    # Of plain text blanks for punctuation give the same words in a third of the time.
    said = text.casefold().translate(PUNCTUATION).split() if text.isascii() and "'" not in text else words(text)
    return f" {' '.join(said)} "


def copied_share(text: str, heard: Iterable[str]) -> float:
    """Share of the 4-word sequences of `text` that occur in any text of `heard`. NaN for a text without words."""
    return _share(words(text), "\n".join(map(joined, heard)))


def _share(said: tuple[str, ...], heard: str) -> float:
    """As `copied_share`. heard: texts as `joined` gives them, each on a line of its own."""
    if not said:
        return float("nan")
    length = min(WORDS, len(said))
    mine = {said[i : i + length] for i in range(len(said) - length + 1)}
    return sum(f" {' '.join(gram)} " in heard for gram in mine) / len(mine)


def adoptions(run: Run, strain: str | None = None, copied_from: float = COPIED_FROM) -> pd.DataFrame:
    """For each case but the index cases: agent, onset, message, copied_share, how ("own_words", "copied" or "no_text").

    Judged is the message of its onset, the first sign (of several in that step the one that shows the strain most), against all
    texts the agent was exposed to in earlier steps and the persona's example lines. "no_text": no words were said or logged.
    """
    strain = chosen_strain(run, strain)
    cases = onsets(run, strain)
    cases = cases.loc[~cases["index"], ["agent", "onset"]]
    texts = _texts(run, strain)
    spoken = texts.sort_values(strain, kind="stable").drop_duplicates(["sender", "step"], keep="last")
    spoken = spoken.rename(columns={"sender": "agent", "step": "onset", "id": "message"})
    cases = cases.merge(spoken[["agent", "onset", "message", "text"]], on=["agent", "onset"], how="left")
    said = cases[cases["text"].notna()]
    examples = "\n".join(map(joined, _examples(run, strain)))
    share = np.full(len(cases), np.nan)
    for row, text, heard in zip(said.index, said["text"], _heard(run, texts, said), strict=True):
        share[row] = _share(words(text), f"{heard}\n{examples}")
    how = np.select([np.isnan(share), share >= copied_from], [NO_TEXT, COPIED], OWN_WORDS)
    return cases[["agent", "onset", "message"]].astype({"message": "Int64"}).assign(copied_share=share, how=how)


def _texts(run: Run, strain: str) -> pd.DataFrame:
    """Messages that have a text: id, step, sender, text and the score on the strain axis."""
    messages = run.messages
    score = messages.get(measure_of(run, strain), np.nan)
    return messages[["id", "step", "sender", "text"]].assign(**{strain: score})[messages["text"].notna()]


def _heard(run: Run, texts: pd.DataFrame, said: pd.DataFrame) -> Iterator[str]:
    """For each of `said` (agent, onset) all texts that the agent received before its onset, as `joined`, each on its own line."""
    exposures, known = run.exposures, pd.Index(texts["id"])
    mine = np.flatnonzero(exposures["agent"].isin(said["agent"]))
    agent, step, message = (exposures[name].to_numpy()[mine] for name in ("agent", "step", "message"))
    order = np.lexsort((step, agent))
    agent, step, row = agent[order], step[order], known.get_indexer(message[order])
    first, last = (np.searchsorted(agent, said["agent"], side) for side in ("left", "right"))
    text = texts["text"].to_numpy(dtype=object)
    plain: dict[int, str] = {}
    for start, until, onset in zip(first.tolist(), last.tolist(), said["onset"].tolist(), strict=True):
        end = start + int(np.searchsorted(step[start:until], onset))
        for of in (wanted := np.unique(row[start:end][row[start:end] >= 0]).tolist()):
            if of not in plain:
                plain[of] = joined(text[of])
        yield "\n".join(plain[of] for of in wanted)


def _examples(run: Run, strain: str) -> list[str]:
    persona = run.meta["scenario"].get("persona", {})
    return list(Persona.model_validate(persona).examples) if persona.get("name") == strain else []


@dataclass(frozen=True)
class Scores:
    """Who said what when. agents: (n,) ids. steps: (t,). score: (n, t), NaN where none. state: (n, t), SCORED to UNREAD.

    total: agents there are, where `agents` are only a part.
    """

    agents: NDArray[np.int64]
    steps: NDArray[np.int64]
    score: NDArray[np.float64]
    state: NDArray[np.int64]
    total: int


def persona_scores(run: Run, strain: str | None = None, limit: int | None = None) -> Scores:
    """The highest score on the strain axis that each agent's messages reached in each step, agents in order of onset.

    Index cases come first, agents that never were a case last. Agents of whom nothing is logged in detail are left out. Of more
    than `limit` agents that many are taken, evenly from first to last.
    """
    strain = chosen_strain(run, strain)
    everybody = agents = _by_onset(run, strain)
    if limit is not None and len(everybody) > limit:
        agents = everybody[np.linspace(0, len(everybody) - 1, limit).round().astype(int)]
    steps = np.arange(last_step(run) + 1)
    score = np.full((len(agents), len(steps)), np.nan)
    state = np.full(score.shape, SILENT)
    if not score.size:
        return Scores(agents, steps, score, state, len(everybody))
    row = pd.Series(np.arange(len(agents)), index=agents)
    messages, turns = run.messages, run.table("turn")
    messages = messages[messages["sender"].isin(agents)]
    turns = turns[turns["agent"].isin(agents)]
    state[row[turns["agent"]], turns["step"]] = MISSING
    state[row[messages["sender"]], messages["step"]] = UNREAD
    if (measure := measure_of(run, strain)) in messages:
        best = messages.dropna(subset=[measure]).groupby(["sender", "step"])[measure].max().reset_index()
        score[row[best["sender"]], best["step"]] = best[measure].to_numpy(np.float64)
        state[~np.isnan(score)] = SCORED
    return Scores(agents, steps, score, state, len(everybody))


def _by_onset(run: Run, strain: str) -> NDArray[np.int64]:
    """Agents logged in detail, by onset of their case and then by id."""
    agents = run.agents.loc[run.agents["detailed"] == 1, "id"]
    onset = agents.map(onsets(run, strain).set_index("agent")["onset"]).fillna(np.inf)
    return agents.to_numpy(np.int64)[np.lexsort((agents, onset))]
