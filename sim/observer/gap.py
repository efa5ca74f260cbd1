"""Said, felt and done: how far what an agent shows on one channel lies from what it shows on another, in the same step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from contagium.sim.observer.instrument import ACT, INTERVIEW, MESSAGE, REPORT, THOUGHT, Channel, Readings

GAP = "gap"
"""Instrument and channel of what `gaps` finds."""
INTENSITY = ".intensity"
"""Ends the name of a column that compares how strong both sides are, whatever their sign."""
OPENNESS = (MESSAGE, ACT, THOUGHT, REPORT)
"""Channels from what all may see to what is asked for in private; interviews come after them."""

OfAgents = dict[int, float]


def gaps(readings: Sequence[Readings], sender_of: Mapping[int, int], chosen: Mapping[str, Sequence[str]]) -> list[Readings]:
    """What each agent shows more openly minus what it shows less openly, for every axis and pair of channels both good now.

    sender_of: message id → agent. chosen: axis → instruments that stand for it, best first. Column "valence.message-report" is
    valence as said minus valence as reported; "valence.message-report.intensity" is |said| − |reported|: below 0 the agent
    suppresses, above 0 it play-acts. Two interviews are not compared with each other: that is how steady an answer is.

    Where an instrument reads the axis on both channels, both sides are its own, so that no gap is one between two rulers: the
    first of `chosen` that does and has good readings. Otherwise each side is read by the first of `chosen` that has a good
    reading there, or, if none of them reads that channel, by whatever does, as a self-report. Several messages of an agent count
    by their mean. Only agents with both sides good have a row; those with the same agents come as one `Readings`, agents and
    columns in order.
    """
    read = _by_channel(readings, sender_of, chosen)
    found: dict[tuple[int, ...], dict[str, list[float]]] = {}
    for axis, on in read.items():
        for shown, felt in combinations(sorted(on, key=_openness), 2):
            if shown.startswith(INTERVIEW):
                continue
            pairs = sorted(_pairs(on[shown], on[felt], chosen[axis]))
            if pairs:
                columns = found.setdefault(tuple(agent for agent, _, _ in pairs), {})
                name = f"{axis}.{shown}-{felt}"
                columns[name] = [a - b for _, a, b in pairs]
                columns[name + INTENSITY] = [abs(a) - abs(b) for _, a, b in pairs]
    return [_as_readings(agents, columns) for agents, columns in sorted(found.items())]


def _as_readings(agents: tuple[int, ...], columns: Mapping[str, list[float]]) -> Readings:
    values = np.array(list(columns.values()), dtype=np.float32).T
    return Readings(GAP, GAP, np.array(agents, dtype=np.int64), tuple(columns), values, np.ones(len(agents), dtype=bool))


def _openness(channel: Channel) -> tuple[int, str]:
    return (OPENNESS.index(channel) if channel in OPENNESS else len(OPENNESS), channel)


def _by_channel(
    readings: Sequence[Readings], sender_of: Mapping[int, int], chosen: Mapping[str, Sequence[str]]
) -> dict[str, dict[Channel, dict[str, OfAgents]]]:
    """Axis → channel → instrument → agent → value, of good readings and axes that are read on several channels."""
    found: dict[str, dict[Channel, dict[str, OfAgents]]] = {}
    for axis in chosen:
        on = [one for one in readings if axis in one.columns and one.channel != GAP]
        if len({one.channel for one in on}) < 2:
            continue
        by_channel = found.setdefault(axis, {})
        for one in on:
            values: dict[int, list[float]] = {}
            column = one.values[one.ok, one.columns.index(axis)].tolist()
            for i, value in zip(one.ids[one.ok].tolist(), column, strict=True):
                values.setdefault(sender_of[i] if one.channel == MESSAGE else i, []).append(value)
            means = {agent: sum(of) / len(of) for agent, of in values.items()}
            by_channel.setdefault(one.channel, {})[one.instrument] = means
    return found


def _pairs(
    shown: Mapping[str, OfAgents], felt: Mapping[str, OfAgents], chosen: Sequence[str]
) -> Iterator[tuple[int, float, float]]:
    """Agent, value shown and value felt, of the agents with both. shown, felt: instrument → agent → value."""
    both = [name for name in _ranked(shown, chosen) if name in felt]
    sides = [(shown[name], felt[name]) for name in both] if both else [(_first(shown, chosen), _first(felt, chosen))]
    done: set[int] = set()
    for left, right in sides:
        for agent in left.keys() & right.keys() - done:
            done.add(agent)
            yield agent, left[agent], right[agent]


def _ranked(by_instrument: Mapping[str, OfAgents], chosen: Sequence[str]) -> list[str]:
    """Instruments that stand for the axis on a channel, best first: those chosen for it, or whatever reads it there."""
    return [name for name in chosen if name in by_instrument] or list(by_instrument)


def _first(by_instrument: Mapping[str, OfAgents], chosen: Sequence[str]) -> OfAgents:
    """By agent the value of the best instrument that has one."""
    best: OfAgents = {}
    for name in reversed(_ranked(by_instrument, chosen)):
        best |= by_instrument[name]
    return best
