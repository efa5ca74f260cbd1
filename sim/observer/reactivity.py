"""Reactivity: whether asking changes what follows. A run in which agents are asked, against its twin in which they are not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from contagium.envs.message import AFFECT
from contagium.envs.rng import Streams
from contagium.sim.analysis.spread.epidemic import CASES, last_step, onsets, states
from contagium.sim.log import LogError, Run
from contagium.sim.observer.agreement import LEVEL, MINIMUM_CLUSTERS, Measured, mean, measure, unmeasured

ASKING = re.compile(r"observer\.(report_every|interviews)(\..*)?|agents\.groups\.[^.]+\.policy\.think")
"""Keys of a scenario that say what agents are asked, and whether they think before they speak."""

HARMLESS = re.compile(r"name|observer\.(feelings(\..*)?|instruments\.([^.]+|self_report\..*|interview\..*))")
"""Other keys in which twins may differ: how answers are read, and instruments that only one of them has."""

MINIMUM_PAIRS = 3
"""Fewer pairs of twins give no interval across replicates."""


@dataclass(frozen=True)
class Twins:
    """One pair. differs: keys in which their scenarios differ. first: the first step in which not all said the same, None: none.

    turns: agent, and whether what it said in a step differs. effects: name → agent and difference, asked less not asked.
    """

    differs: tuple[str, ...]
    first: int | None
    turns: pd.DataFrame
    effects: dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Reactivity:
    """What asking changed. pairs: pairs of twins compared. first: of each pair, the first step in which words differ.

    differing: share of turns whose words differ. effects: name → difference, asked less not asked, a mean over agents.
    """

    pairs: int
    differs: tuple[str, ...]
    first: tuple[int | None, ...]
    differing: Measured
    effects: dict[str, Measured]

    @property
    def reactive(self) -> bool:
        """Whether anything that was said differs at all."""
        return any(step is not None for step in self.first)


def reactivity(asked: Sequence[Run], twins: Sequence[Run]) -> Reactivity:
    """Compare runs with asking, pair by pair, with their twins without.

    Of one pair, intervals are by resampling agents, which takes them as independent though they hear each other; of three pairs
    or more, Student's t across pairs. LogError: the runs are no twins; it says in which keys they differ.
    """
    if not asked or len(asked) != len(twins):
        raise LogError(f"each run needs one twin, got {len(asked)} runs and {len(twins)} twins")
    pairs = [compare(one, other) for one, other in zip(asked, twins, strict=True)]
    streams = Streams(int(asked[0].meta["seed"]))
    names = [name for name in pairs[0].effects if all(name in pair.effects for pair in pairs)]
    return Reactivity(
        len(pairs),
        tuple(sorted({key for pair in pairs for key in pair.differs})),
        tuple(pair.first for pair in pairs),
        _over([pair.turns for pair in pairs], streams, "words"),
        {name: _over([pair.effects[name] for pair in pairs], streams, name) for name in names},
    )


def compare(asked: Run, twin: Run) -> Twins:
    """One pair, up to the last step that both have done. LogError: they are no twins."""
    keys = tuple(sorted(differing_keys(asked.meta.get("scenario", {}), twin.meta.get("scenario", {}))))
    if wrong := [key for key in keys if not (ASKING.fullmatch(key) or HARMLESS.fullmatch(key))]:
        raise LogError(f"{twin.path} is no twin of {asked.path}: they differ in {', '.join(wrong)}")
    if not any(ASKING.fullmatch(key) for key in keys):
        raise LogError(f"{twin.path} is no twin of {asked.path}: in both, agents are asked the same")
    last = min(last_step(asked), last_step(twin))
    turns = _turns(asked, last).merge(_turns(twin, last), on=["step", "agent"], how="outer", suffixes=("", "_twin"))
    turns["value"] = (turns["said"].fillna("") != turns["said_twin"].fillna("")).astype(float)
    other = turns.loc[turns["value"] > 0, "step"]
    effects = {name: _difference(*both) for name, *both in _outcomes(asked, twin, last)}
    return Twins(keys, int(other.min()) if len(other) else None, turns[["agent", "value"]], effects)


def differing_keys(one: object, other: object, path: str = "") -> Iterator[str]:
    """Dotted keys at which two plain JSON values differ."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        if one != other:
            yield path
        return
    for key in one.keys() | other.keys():
        yield from differing_keys(one.get(key), other.get(key), f"{path}.{key}" if path else str(key))


def _turns(run: Run, last: int) -> pd.DataFrame:
    """What each agent said in each step: step, agent, said (all of it, and where)."""
    messages = run.table("message")
    messages = messages[messages["step"] <= last]
    said = [json.dumps(row) for row in messages[["channel", "text"]].astype(object).to_numpy().tolist()]
    turns = messages.assign(said=said).groupby(["step", "sender"], as_index=False)["said"].agg("".join)
    return turns.rename(columns={"sender": "agent"})


def _outcomes(asked: Run, twin: Run, last: int) -> Iterator[tuple[str, pd.Series, pd.Series]]:
    """Name of an outcome, and its value by agent in either run."""
    shown = [run.messages[run.messages["step"] <= last] for run in (asked, twin)]
    for axis in AFFECT:
        if all(axis in messages for messages in shown):
            one, other = (messages.groupby("sender")[axis].mean().dropna() for messages in shown)
            if len(one) and len(other):
                yield axis, one, other
    for strain in asked.meta.get("strains", ()):
        one, other = (_infectious(run, last, strain) for run in (asked, twin))
        yield f"{strain}: prevalence after step {last}", one, other
        one, other = (_caught(run, last, strain) for run in (asked, twin))
        yield f"{strain}: attack rate", one, other


def _infectious(run: Run, last: int, strain: str) -> pd.Series:
    return pd.Series(np.isin(states(run, (last,), strain)[0], CASES), run.agents["id"].to_numpy(), dtype=float)


def _caught(run: Run, last: int, strain: str) -> pd.Series:
    """1 for each agent that became a case, 0 for others; index cases left out."""
    cases = onsets(run, strain)
    susceptible = run.agents.loc[run.agents["strain"] != strain, "id"].to_numpy(np.int64)
    caught = cases.loc[~cases["index"] & (cases["confirmed"] <= last), "agent"]
    return pd.Series(np.isin(susceptible, caught), susceptible, dtype=float)


def _difference(asked: pd.Series, twin: pd.Series) -> pd.DataFrame:
    both = pd.DataFrame({"asked": asked, "twin": twin}).dropna()
    return pd.DataFrame({"agent": both.index, "value": (both["asked"] - both["twin"]).to_numpy(np.float64)})


def _over(pairs: Sequence[pd.DataFrame], streams: Streams, name: str) -> Measured:
    """Mean over agents of one pair, or over pairs of their means."""
    if len(pairs) == 1:
        values = pairs[0]["value"].to_numpy(np.float64)
        return measure(partial(mean, values), pairs[0]["agent"].to_numpy(np.int64), streams, f"twins {name}", MINIMUM_CLUSTERS)
    return across([float(pair["value"].mean()) for pair in pairs if len(pair)])


def across(values: Sequence[float]) -> Measured:
    """The mean over replicates with Student's t interval."""
    from scipy.special import stdtrit

    n = len(values)
    if n < MINIMUM_PAIRS:
        return unmeasured(f"too few to say: {n} pairs of runs", n, n)
    middle, error = float(np.mean(values)), float(np.std(values, ddof=1)) / n**0.5
    reach = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * error
    return Measured(middle, middle - reach, middle + reach, n, n, error)
