"""The memory that a run takes, said before it begins: a run that cannot fit is refused, not killed half-way."""

from __future__ import annotations

from contagium.envs.growth import memory_available
from contagium.sim.build import ScenarioError
from contagium.sim.sample import MANY
from contagium.sim.scenario import Scenario

BASE, AGENT, FULL, TURN = 350e6, 1300, 1600, 10
"""Bytes: of the program and its figures; for each agent; for each agent besides where the log tells of all in full; and for each
agent and step, which is what transitions take when the report is made. Measured with mechanistic agents in a forum that read
three posts each: SIR, 1,000,000 agents, 50 steps. A model without immunity, whose agents move again and again, takes up to four
times as much a step."""


def footprint(scenario: Scenario) -> float:
    """Bytes that a run of mechanistic agents takes at its peak, roughly."""
    size = scenario.population.size
    agent = AGENT + (FULL if scenario.log.detail == "full" else 0)
    return BASE + size * (agent + TURN * scenario.steps)


def must_fit(scenario: Scenario) -> None:
    """ScenarioError: a large population, for which the memory that is free does not suffice."""
    takes, free, size = footprint(scenario), memory_available(), scenario.population.size
    if size > MANY and takes > free:
        raise ScenarioError(
            f"population.size: {size:,} agents and {scenario.steps:,} steps take about {takes / 1e9:,.1f} GB of memory, but "
            f"{free / 1e9:,.1f} GB are free: choose fewer agents or steps"
        )
