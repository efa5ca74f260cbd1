"""Who measured what in a run: its instruments by axis and channel, and their readings side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from contagium.envs.rng import Streams
from contagium.sim.log import LogError, Run
from contagium.sim.observer.instrument import MESSAGE

RETEST = ".retest"
"""Ending of the name under which an instrument reads again what it read in an earlier step."""

DERIVED = "gap"
"""The instrument that is made of the readings of others, and so agrees with them by itself."""

MOST_UNITS = 5_000
"""Of more units rated by all, so many are drawn at random: a bootstrap of a million would take an hour and say the same."""


@dataclass(frozen=True, order=True)
class Rater:
    """One instrument on one channel."""

    instrument: str
    channel: str

    @property
    def label(self) -> str:
        return self.instrument if self.channel == MESSAGE else f"{self.instrument} ({self.channel})"


@dataclass(frozen=True)
class Rulers:
    """What there is to compare.

    columns: column → who read it. failures: (instrument, channel) → readings, and how many failed for each reason.
    enter: (strain, instrument) → the reading from which a message shows the strain.
    """

    run: Run
    columns: dict[str, tuple[Rater, ...]]
    failures: dict[tuple[str, str], tuple[int, dict[str, int]]]
    enter: dict[tuple[str, str], float]
    strains: tuple[str, ...]

    @cached_property
    def streams(self) -> Streams:
        return Streams(int(self.run.meta["seed"]))

    def raters(self, axis: str) -> list[Rater]:
        """The instruments that measure an axis, each on the channel of messages, or where it reads none, on its own channels.

        Single judges of a panel, re-readings and what is made of other readings are left out.
        """
        every = [rater for rater in self.columns[axis] if "." not in rater.instrument and rater.instrument != DERIVED]
        public = {rater.instrument for rater in every if rater.channel == MESSAGE}
        return [rater for rater in every if rater.channel == MESSAGE or rater.instrument not in public]

    def panels(self, axis: str) -> Iterator[tuple[Rater, ...]]:
        """Judgements of one kind: all of a panel ("judge.a", "judge.b.1", "judge.b.2"), and those repeated by one judge."""
        single = [r for r in self.columns[axis] if "." in r.instrument and not r.instrument.endswith(RETEST)]
        public = [rater for rater in single if rater.channel == MESSAGE]
        for base in sorted({rater.instrument.split(".")[0] for rater in public}):
            panel = tuple(rater for rater in public if rater.instrument.split(".")[0] == base)
            repeated = {name: tuple(of) for name, of in _by_judge(panel).items() if 1 < len(of) < len(panel)}
            if len(panel) > 1:
                yield from (panel, *repeated.values())

    def retests(self, axis: str) -> Iterator[tuple[Rater, Rater]]:
        """First and later readings by the same instrument."""
        for again in self.columns[axis]:
            first = Rater(again.instrument.removesuffix(RETEST), again.channel)
            if again.instrument.endswith(RETEST) and first in self.columns[axis]:
                yield first, again

    def _read(self, rater: Rater, axis: str) -> pd.DataFrame:
        found = self.run.read(rater.instrument, axis, rater.channel)
        return found[found["value"].notna()]

    def together(self, axis: str, raters: Sequence[Rater], least: int = 2) -> pd.DataFrame:
        """What at least `least` of `raters` have read: agent, step and a column for each, "0", "1", …, NaN for the others.

        A row is a message where all read messages, else an agent in a step, with the mean of its messages.
        """
        keys = ["id", "agent", "step"] if all(rater.channel == MESSAGE for rater in raters) else ["agent", "step"]
        whole: pd.DataFrame | None = None
        for k, rater in enumerate(raters):
            found = self._read(rater, axis).groupby(keys, as_index=False)["value"].mean().rename(columns={"value": str(k)})
            whole = found if whole is None else whole.merge(found, on=keys, how="outer")
        assert whole is not None
        return self._some(whole[whole.drop(columns=keys).notna().sum(axis=1) >= least])

    def reread(self, axis: str, first: Rater, again: Rater) -> pd.DataFrame:
        """Readings of one message in its own step ("0") and later ("1"): agent, step (the later one), and these two."""
        before = self._read(first, axis).drop_duplicates("id").rename(columns={"value": "0"})[["id", "0"]]
        return self._some(before.merge(self._read(again, axis).rename(columns={"value": "1"}), on="id"))

    def _some(self, table: pd.DataFrame) -> pd.DataFrame:
        if len(table) <= MOST_UNITS:
            return table
        drawn = self.streams.generator("reliability").choice(len(table), MOST_UNITS, replace=False)
        return table.iloc[np.sort(drawn)]

    def said_twice(self) -> dict[str, tuple[int, int]]:
        """Instrument → how many texts that had been said before word by word it read exactly as the first time, and of how many.

        At most `MOST_UNITS` of them.
        """
        said = self.run.messages[["id", "text"]].dropna()
        said["first"] = said.groupby("text")["id"].transform("min")
        again = said[said["id"] != said["first"]].head(MOST_UNITS)
        wanted = json.dumps([*again["id"].tolist(), *again["first"].unique().tolist()])
        rows = self.run.rows(
            "SELECT instrument, id, scores FROM reading WHERE channel = ? AND id IN (SELECT value FROM json_each(?))"
            " AND status = 'ok' AND instrument NOT LIKE ? ORDER BY rowid",
            (MESSAGE, wanted, f"%{RETEST}"),
        )
        read = pd.DataFrame.from_records(rows, columns=["instrument", "id", "scores"])
        whole = read.groupby(["instrument", "id"], as_index=False)["scores"].agg("".join)
        later = whole.merge(again[["id", "first"]], on="id")
        both = later.merge(whole, left_on=["instrument", "first"], right_on=["instrument", "id"], suffixes=("", "_first"))
        same = (both["scores"] == both["scores_first"]).groupby(both["instrument"])
        return {str(name): (int(equal.sum()), len(equal)) for name, equal in same}


def _by_judge(panel: Sequence[Rater]) -> dict[str, list[Rater]]:
    """Judgements by judge: a number at the end of a name counts the repeats."""
    judges: dict[str, list[Rater]] = {}
    for rater in panel:
        name, _, last = rater.instrument.rpartition(".")
        judges.setdefault(name if last.isdigit() else rater.instrument, []).append(rater)
    return judges


def rulers(run: Run) -> Rulers:
    """What was read in `run`, by whom. LogError: its log cannot be read."""
    rows = run.rows(
        # Readings that can fail apart differ in their columns, so in the first of them.
        "SELECT instrument, channel, status, reason, COUNT(*), MIN(scores) FROM reading"
        " GROUP BY instrument, channel, substr(scores, 1, instr(scores, ':')), status, reason ORDER BY MIN(rowid)",
    )
    columns: dict[str, dict[Rater, None]] = {}
    failures: dict[tuple[str, str], tuple[int, dict[str, int]]] = {}
    for instrument, channel, status, reason, count, scores in rows:
        for column in _columns(run, scores):
            columns.setdefault(column, {})[Rater(instrument, channel)] = None
        of, why = failures.get((instrument, channel), (0, {}))
        if status != "ok":
            why[reason or "not said"] = why.get(reason or "not said", 0) + count
        failures[instrument, channel] = of + count, why
    by_axis = {column: tuple(who) for column, who in columns.items()}
    strains = tuple(run.meta.get("strains", ()))
    return Rulers(run, by_axis, failures, dict(_enters(run.meta)), strains)


def _columns(run: Run, scores: str) -> list[str]:
    try:
        return list(json.loads(scores))
    except (TypeError, ValueError) as error:
        raise LogError(f"cannot read the event log {run.path}: {error}") from error


def _enters(meta: dict[str, Any]) -> Iterator[tuple[tuple[str, str], float]]:
    scenario = meta.get("scenario", {})
    for persona in (scenario.get("persona", {}), *scenario.get("rivals", {}).values()):
        for instrument, rule in persona.get("detection", {}).items():
            yield (persona["name"], instrument), float(rule["enter"])
