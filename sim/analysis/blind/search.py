"""The search for what spreads in a log, from who said what and who heard it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from contagium.envs.rng import Streams
from contagium.sim.analysis.blind.features import Encode, Features, features
from contagium.sim.analysis.blind.rise import rise
from contagium.sim.analysis.blind.uptake import Contacts, Uptake, contacts, uptake

WINDOW = 2
"""Steps for which what was heard counts."""

PERMUTATIONS = 999

LEVEL = 0.05
"""Chance of naming anything at all where nothing spreads."""

TOGETHER = 0.5
"""Share of messages (Jaccard) that two features have in common from which the lesser is told with the greater."""

LISTED = 20


@dataclass(frozen=True)
class Trace:
    """One feature.

    name: a wording, or an end of an axis. together: other names of the same messages, and lesser features that mostly occur with
    it. score, p, ratio, low, high, uptakes, after_hearing: of `Uptake`. rise_p, rises: p and step of `Rise`. first_step, first:
    when and by which agents it was first shown. agents: how many ever showed it; curve: how many in each step. example: a text
    that shows it.
    """

    name: str
    kind: str
    together: tuple[str, ...]
    score: float
    p: float
    ratio: float
    low: float
    high: float
    uptakes: int
    after_hearing: int
    rise_p: float
    rises: int
    first_step: int
    first: tuple[int, ...]
    agents: int
    curve: tuple[int, ...]
    example: str


@dataclass(frozen=True)
class Blind:
    """What a search found.

    traces: the LISTED foremost, best first. rising: names of features that surely rise in time, spreading or not, best first.
    weights: message → how much it shows of what spreads. tested: features with enough uptakes. first_step: that of the curves.
    left_out: what was not looked at, in words.
    """

    traces: tuple[Trace, ...]
    rising: tuple[str, ...]
    weights: dict[int, float]
    tested: int
    first_step: int
    window: int
    permutations: int
    left_out: tuple[str, ...]

    @property
    def spreading(self) -> tuple[Trace, ...]:
        """Those that spread more than chance at LEVEL, all features taken together."""
        return tuple(trace for trace in self.traces if trace.p < LEVEL)

    @property
    def evidence(self) -> float:
        """The greatest score: how much anything at all seems to spread. NaN where nothing could be tested."""
        return self.traces[0].score if self.traces else float("nan")


def search(
    messages: pd.DataFrame,
    exposures: pd.DataFrame,
    window: int = WINDOW,
    permutations: int = PERMUTATIONS,
    streams: Streams | None = None,
    encode: Encode | str = "no sentence encoder was given",
) -> Blind:
    """Search messages (id, step, sender, text) and exposures (step, message, agent). ValueError: a number below 1.

    streams: of the permutations, by default those of seed 0. encode: a sentence encoder, or why there is none and meaning is
    left out.
    """
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    streams, said = streams or Streams(0), with_words(messages)
    if said.empty:
        return Blind((), (), {}, 0, 0, window, permutations, ("everything: no message has words",))
    made = contacts(said, exposures, window)
    shown = features(said["text"].tolist(), made.sender, made.step, encode)
    tested = uptake(made, shown.used, permutations, streams.generator("blind uptake"))
    risen = rise(made, shown.used, permutations, streams.generator("blind rise"))
    ranked = np.argsort(-tested.score, kind="stable")[: int(np.isfinite(tested.score).sum())]
    heads = _heads(ranked, shown.used)
    turns = made.turns(shown.used[:, list(heads)])
    traces = tuple(
        Trace(
            **_described(shown, f, lesser),
            **_measured(tested, f),
            **_told(made, turns[:, [place]].toarray().reshape(made.steps, -1)),
            rise_p=float(risen.p[f]),
            rises=int(risen.step[f]),
            example=said["text"].iloc[shown.used[:, [f]].indices[0]],
        )
        for place, (f, lesser) in enumerate(heads.items())
    )
    up = np.argsort(-risen.score, kind="stable")
    rising = tuple(shown.names[f][0] for f in up[risen.p[up] < LEVEL][:LISTED].tolist())
    weights = dict(zip(said["id"].tolist(), _weights(shown.used, np.array(list(heads), np.int64), tested).tolist(), strict=True))
    return Blind(traces, rising, weights, len(ranked), made.first, window, permutations, shown.left_out)


def with_words(messages: pd.DataFrame) -> pd.DataFrame:
    """The messages that have words, in the order they were said."""
    return messages[messages["text"].notna()].sort_values(["step", "id"], kind="stable", ignore_index=True)


def _heads(ranked: NDArray[np.int64], used: csc_matrix) -> dict[int, list[int]]:
    """The LISTED foremost features, each with lesser ones that mostly occur in the same messages."""
    found = dict[int, list[int]]()
    counts, whole = np.diff(used.indptr), used[:, ranked].astype(np.int32)
    for place, f in enumerate(ranked.tolist()):
        if len(found) == LISTED:
            break
        if not any(f in lesser for lesser in found.values()):
            both = (whole[:, [place]].T @ whole[:, place + 1 :]).toarray().ravel()
            others = ranked[place + 1 :]
            alike = others[both >= TOGETHER * (counts[f] + counts[others] - both)]
            taken = {one for lesser in found.values() for one in lesser}
            found[f] = [one for one in alike.tolist() if one not in taken]
    return found


def _described(shown: Features, f: int, lesser: list[int]) -> dict[str, Any]:
    name, *others = shown.names[f]
    return {"name": name, "kind": shown.kinds[f], "together": (*others, *(shown.names[g][0] for g in lesser[:LISTED]))}


def _measured(tested: Uptake, f: int) -> dict[str, Any]:
    names = ("score", "p", "ratio", "low", "high", "uptakes", "after_hearing")
    return {name: getattr(tested, name)[f].item() for name in names}


def _told(made: Contacts, turns: NDArray[np.bool_]) -> dict[str, Any]:
    """Who showed it when, from (T, A)."""
    curve = turns.sum(axis=1)
    first = int(np.flatnonzero(curve)[0])
    return {
        "first_step": first + made.first,
        "first": tuple(made.agents[turns[first]].tolist()),
        "agents": int(turns.any(axis=0).sum()),
        "curve": tuple(curve.tolist()),
    }


def _weights(used: csc_matrix, heads: NDArray[np.int64], tested: Uptake) -> NDArray[np.float64]:
    """Of each message (M,) the summed scores of what it shows of the features that spread, or of the foremost where none does."""
    sure = tested.p[heads] < LEVEL
    chosen = heads[sure] if sure.any() else heads[:1]
    return np.asarray(used[:, chosen].astype(np.float64) @ np.maximum(0, tested.score[chosen]))
