"""Why cases were called cases: the rule, the readings that met it, and the candidate causes, as far as a page can hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.envs.message import SHOWN
from contagium.sim.analysis.figures.layout import TreeLayout, tree_layout
from contagium.sim.analysis.findings import Findings
from contagium.sim.analysis.spread.epidemic import compartment_curves, measure_of, moves, onsets
from contagium.sim.analysis.text import visible
from contagium.sim.analysis.trees.tree import chains
from contagium.sim.log import Run
from contagium.sim.observer.observer import STATED

CASES_SHOWN = 1_000
"""Cases whose tree is drawn; of more the largest families, and of one that does not fit its earliest cases."""

READINGS, CAUSES = 12, 8
"""Of each case, readings from first sign to confirmation, and candidate causes, the most probable first."""


@dataclass(frozen=True)
class Explained:
    """One strain or state as the page tells of it.

    onsets: by step, how many began, index cases aside. cases: those of the page, see `Chains`. moves: step, agent, target of
    everybody. readings: agent, step, value, instrument, reached, id of the message. causes: agent, source, step, message, dose,
    probability, confirmed (words). more: agent → causes that are left out.
    """

    name: str
    rule: str
    thresholds: dict[str, float]
    onsets: list[int]
    cases: pd.DataFrame
    tree: TreeLayout
    moves: pd.DataFrame
    curves: pd.DataFrame
    readings: pd.DataFrame
    causes: pd.DataFrame
    more: dict[int, int]

    @property
    def compartments(self) -> set[str]:
        return {*self.curves, *map(str, self.moves["target"].unique())}

    @property
    def messages(self) -> NDArray[np.int64]:
        """Ids of the messages that are evidence of a case or a candidate cause."""
        return np.concatenate([self.readings["id"].to_numpy(np.int64), self.causes["message"].to_numpy(np.int64)])

    @property
    def sources(self) -> list[int]:
        return sorted({*self.causes["source"].tolist(), *self.cases.loc[self.cases["parent"] >= 0, "parent"].tolist()})

    def told(self, place: pd.Series, text: Mapping[int, int], codes: list[str]) -> dict[str, Any]:
        """As plain values. place: agent → row. text: message → number of its text. codes: compartments in the page's order."""
        cases, moved = self.cases[self.cases["agent"].isin(place.index)], self.moves[self.moves["agent"].isin(place.index)]
        known = dict(zip(self.tree.cases["agent"].tolist(), self.tree.position[:, 1].tolist(), strict=True))
        shown = f"{len(known)} of {self.tree.total} cases are in the tree: the largest families."
        return {
            "name": visible(self.name),
            "rule": self.rule,
            "thresholds": list(self.thresholds.items()),
            "susceptible": codes.index("S"),
            "infectious": codes.index("I"),
            "index": place[cases.loc[cases["index"], "agent"]].tolist(),
            "moves": {
                "step": moved["step"].tolist(),
                "agent": place[moved["agent"]].tolist(),
                "target": [codes.index(str(one)) for one in moved["target"]],
            },
            "counts": {"step": self.curves.index.tolist(), "of": {str(c): self.curves[c].tolist() for c in self.curves}},
            "onsets": self.onsets,
            "cases": self._cases(cases, text),
            "tree": [{"agent": agent, "place": height} for agent, height in known.items()],
            "note": shown if len(known) < self.tree.total else "",
        }

    def _cases(self, cases: pd.DataFrame, text: Mapping[int, int]) -> list[dict[str, Any]]:
        readings, causes = _by_agent(self.readings), _by_agent(self.causes)
        return [
            {
                **{name: getattr(one, name) for name in ("agent", "onset", "confirmed", "parent", "index", "spontaneous")},
                "probability": round(one.probability, 4),
                "explained": round(one.explained, 4),
                "readings": [
                    (r.step, round(r.value, 4), r.instrument, r.reached, text.get(r.id, -2)) for r in readings.get(one.agent, [])
                ],
                "causes": [
                    (c.source, c.step, round(c.probability, 4), round(c.dose, 3), text.get(c.message, -2), c.confirmed)
                    for c in causes.get(one.agent, [])
                ],
                "more": self.more.get(one.agent, 0),
            }
            for one in cases.itertuples()
        ]


def _by_agent(table: pd.DataFrame) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in table.itertuples():
        found.setdefault(row.agent, []).append(row)
    return found


def explain(run: Run, found: Findings, strain: str, confirmed: Mapping[tuple[str, int, int], str], most: int) -> Explained:
    """One strain as the page tells of it. confirmed: (strain, source, target) → what a counterfactual test found, in words.

    most: agents whose cases are told of, at most, beside those of the tree.
    """
    whole = found.chains if strain == found.strain else chains(run, strain)
    tree = tree_layout(whole, CASES_SHOWN)
    among = np.union1d(tree.cases["agent"], run.agents["id"].to_numpy(np.int64)[:most])
    cases = whole.cases[whole.cases["agent"].isin(among)]
    causes, more = _causes(run, strain, cases, confirmed)
    begun = whole.cases.loc[~whole.cases["index"], "onset"].to_numpy(np.int64)
    return Explained(
        name=strain,
        rule=_rule(run, found, strain),
        thresholds=thresholds_of(run, found, strain),
        onsets=np.bincount(begun, minlength=found.steps).tolist(),
        cases=cases,
        tree=tree,
        moves=moves(run, strain),
        curves=found.curves if strain == found.strain else compartment_curves(run, strain),
        readings=_towards(run, found, strain, cases[~cases["index"]]),
        causes=causes,
        more=more,
    )


def thresholds_of(run: Run, found: Findings, strain: str) -> dict[str, float]:
    """Instrument → the reading from which a message shows the strain or state, of those that this run could read."""
    rule, measure = run.meta.get("detection", {}).get(strain), measure_of(run, strain)
    if rule is None:
        return {}
    if measure != strain:
        return {str(rule["instrument"]): float(rule["enter"])}
    used, ruler = found.instruments.get(measure, []), str(rule["instrument"])
    known = {STATED: SHOWN, ruler: float(rule["enter"])}
    # The case instrument may read without standing for messages on the axis.
    return {
        name: known[name]
        for name in known
        if name in used or (name == ruler and name not in run.meta["axis_instruments"][measure])
    }


def _rule(run: Run, found: Findings, strain: str) -> str:
    """The case definition in a sentence."""
    observer = run.meta["scenario"].get("observer", {})
    case = observer.get("states", {}).get(strain) or observer.get("case", {})
    confirm, window = case.get("confirm"), case.get("window")
    signs = "" if confirm is None else "One sign makes a case: " if window == 1 else f"{confirm} of {window} readings in a row: "
    each = (
        "a message that states it outright" if name == STATED else f"{visible(name)} {'≤' if value < 0 else '≥'} {value:g}"
        for name, value in thresholds_of(run, found, strain).items()
    )
    words = ", or ".join(each)
    return f"{signs}{words}." if words else ""


def readings_of(run: Run, found: Findings, strain: str) -> pd.DataFrame:
    """What counted for each message in telling whether it shows a strain: agent, step, id, value, instrument, reached (bool).

    What a message states outright counts before what its words are read as. reached: whether that is a sign of a case.
    """
    columns, parts = ["agent", "step", "id", "value", "instrument", "reached"], []
    for name, enter in thresholds_of(run, found, strain).items():
        read = _read(run, found, strain, name).dropna(subset="value")
        reached = np.sign(enter) * read["value"].astype(np.float32) >= np.float32(abs(enter))
        parts.append(read.assign(instrument=visible(name), reached=reached)[columns])
    return pd.concat(parts).drop_duplicates("id") if parts else pd.DataFrame(columns=columns)


def _towards(run: Run, found: Findings, strain: str, cases: pd.DataFrame) -> pd.DataFrame:
    """The readings of each case's messages from its first sign to its confirmation, the first READINGS of them."""
    read = readings_of(run, found, strain)
    read = read[read["agent"].isin(cases["agent"])].join(cases.set_index("agent")[["onset", "confirmed"]], on="agent")
    read = read[(read["onset"] <= read["step"]) & (read["step"] <= read["confirmed"])]
    read = read.sort_values(["agent", "step"], kind="stable")
    return read[read.groupby("agent").cumcount() < READINGS]


def _read(run: Run, found: Findings, strain: str, instrument: str) -> pd.DataFrame:
    """Readings of one instrument on a strain: step, id, agent, value. Those that stand for messages anyway are not read again."""
    measure = measure_of(run, strain)
    if measure != strain or found.instruments.get(measure) == [instrument]:
        table = run.messages
        return table[["step", "id"]].assign(agent=table["sender"], value=table[measure])
    return run.read(instrument, measure)


def _causes(
    run: Run, strain: str, cases: pd.DataFrame, confirmed: Mapping[tuple[str, int, int], str]
) -> tuple[pd.DataFrame, dict[int, int]]:
    """The likeliest candidate causes of these cases, and how many more there are, by agent."""
    agent_of = onsets(run, strain).set_index("agent")["transition"].reindex(cases.loc[~cases["index"], "agent"])
    agent_of = pd.Series(agent_of.index, index=agent_of.to_numpy())
    causes = run.causes_of(agent_of.index.to_numpy(np.int64))
    causes = causes.assign(agent=causes["transition_id"].map(agent_of).astype(np.int64))
    causes = causes.sort_values(["agent", "probability"], ascending=[True, False], kind="stable")
    rank = causes.groupby("agent").cumcount()
    more = (causes["agent"].value_counts() - CAUSES).clip(lower=0)
    kept = causes[rank < CAUSES]
    words = [visible(confirmed.get((strain, s, a), "")) for s, a in zip(kept["source"], kept["agent"], strict=True)]
    return kept.assign(confirmed=words), {int(a): int(n) for a, n in more.items() if n}
