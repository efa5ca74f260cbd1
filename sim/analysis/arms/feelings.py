"""Outcomes of feelings: how messages read, how a shock goes by, and what agents say of themselves when they are asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from contagium.sim.analysis.arms.seen import Seen, UndefinedError, known

DISTRESS, OPEN = "distress", 5.0
"""The measure, 0 to 10, and the reading from which distress is open."""

Axis = Callable[[str, Seen], float]


def mean(axis: str, seen: Seen) -> float:
    return _weighted(seen.affect[axis])


def highest(axis: str, seen: Seen) -> float:
    return float(seen.affect[axis]["mean"].max())


def change(axis: str, seen: Seen) -> float:
    curve = seen.affect[axis]
    third = len(curve) // 3
    if not third:
        raise UndefinedError("fewer than 3 steps")
    return _weighted(curve.iloc[-third:]) - _weighted(curve.iloc[:third])


def _weighted(curve: pd.DataFrame) -> float:
    """Mean over messages of some steps."""
    read = curve[curve["messages"] > 0]
    if read.empty:
        raise UndefinedError("nothing was read in some part of the run")
    return float(np.average(read["mean"], weights=read["messages"]))


def others(axis: str, seen: Seen) -> float:
    read = seen.readings(axis)
    cases = seen.chains.cases
    rest = read[~read["agent"].isin(cases.loc[cases["index"], "agent"])]
    return known(None if rest.empty else float(rest["value"].mean()), "nobody but index cases spoke")


def _moved(axis: str, seen: Seen) -> pd.Series:
    """Mean of each step with messages less that of the first of them, by step."""
    curve = seen.affect[axis]
    means = curve.loc[curve["messages"] > 0, "mean"]
    return means - means.iloc[0] if len(means) else means


def _out_and_back(axis: str, seen: Seen) -> pd.Series:
    """Share of the furthest move that is left, from its step on."""
    moved = _moved(axis, seen)
    if not moved.any():
        raise UndefinedError(f"{axis} never moved")
    furthest = moved.abs().idxmax()
    return moved.loc[furthest:] / moved[furthest]


def swing(axis: str, seen: Seen) -> float:
    moved = _moved(axis, seen)
    return known(None if moved.empty else float(moved.abs().max()), f"{axis} was never read")


def returned(axis: str, seen: Seen) -> float:
    return 1 - float(_out_and_back(axis, seen).iloc[-1])


def half_life(axis: str, seen: Seen) -> float:
    left = _out_and_back(axis, seen)
    gone = left.index[left <= 0.5]
    return known(float(gone[0] - left.index[0]) if len(gone) else None, "less than half had gone at the end")


ON_AXES: dict[str, tuple[str, Axis, bool]] = {
    "mean": ("mean {} of messages", mean, True),
    "peak": ("highest mean {} of a step", highest, False),
    "change": ("{} in the last third of steps less the first", change, True),
    "others": ("mean {} of messages of agents that are no index cases", others, False),
    "swing": ("furthest move of the mean {} of a step from that of the first step", swing, False),
    "return": ("share of the furthest move of {} that is gone at the end", returned, False),
    "half_life": ("steps from the furthest move of {} until half of it is gone", half_life, False),
}
"""Family → what it is, how it is told, and whether it is compared unless others are asked for; each axis has one of each."""


def distressed(seen: Seen) -> float:
    return float((seen.readings(DISTRESS)["value"] >= OPEN).mean())


def recovered(seen: Seen) -> float:
    """Of agents that showed open distress, those whose last message did not."""
    calm = [not states[-1] for states in _since_distress(seen)]
    return known(float(np.mean(calm)) if calm else None, "nobody showed distress")


def relapsed(seen: Seen) -> float:
    """Of agents that showed open distress and then none, those that showed it again."""
    later = [states[states.index(False) :] for states in _since_distress(seen) if False in states]
    return known(float(np.mean([any(states) for states in later])) if later else None, "nobody came out of distress")


def _since_distress(seen: Seen) -> list[list[bool]]:
    """Of each agent that ever showed it, whether its messages did, from the first that did on."""
    read = seen.readings(DISTRESS).sort_values("step")
    shows = [(group["value"] >= OPEN).tolist() for _, group in read.groupby("agent")]
    return [states[states.index(True) :] for states in shows if True in states]


def lead(name: str, seen: Seen) -> float:
    """Of agents logged in detail that showed distress before they first did it, or in the same step."""
    read = seen.readings(DISTRESS)
    sign = read[read["value"] >= OPEN].groupby("agent")["step"].min()
    did = seen.run.table("outcome")
    act = did[(did["name"] == name) & (did["value"] > 0)].groupby("agent")["step"].min()
    steps = (act - sign).dropna()
    steps = steps[steps >= 0]
    return known(None if steps.empty else float(steps.mean()), f"nobody showed distress before {name}")


def answers(item: str, axis: str, seen: Seen) -> float:
    return float(_answers(item, axis, seen)["value"].mean())


def drift(item: str, axis: str, seen: Seen) -> float:
    by_step = _answers(item, axis, seen).groupby("step")["value"].mean()
    return known(float(by_step.iloc[-1] - by_step.iloc[0]) if len(by_step) > 1 else None, "answered in fewer than two steps")


def _answers(item: str, axis: str, seen: Seen) -> pd.DataFrame:
    read = seen.run.read("interview", axis, f"interview:{item}").dropna(subset=["value"])
    if read.empty:
        raise UndefinedError(f"no answer to {item} could be read")
    return read
