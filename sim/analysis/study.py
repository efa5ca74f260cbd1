"""What every part of the analysis finds in one run, beyond how far the strain got: computed once, for report and summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from contagium.sim.analysis.causes.contagion import Contagion, contagion
from contagium.sim.analysis.emotion.contagion import Emotional, emotional_contagion
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.findings import Findings
from contagium.sim.analysis.fit.hazard import Hazard, hazard
from contagium.sim.analysis.spread.course import Course, course
from contagium.sim.analysis.trees.transmission import Transmission, transmission
from contagium.sim.counterfactual.rerun import Comparison, read_reruns
from contagium.sim.counterfactual.results import Edge, read_counterfactual
from contagium.sim.log import Run


@dataclass(frozen=True)
class Study:
    """Of one strain or emotional state of one run, by the observer's case definition.

    course: growth, R and dose–response over time. transmission: who infected whom. hazard: simple or complex. contagion:
    contagion or not. emotional: how affect spread. edges, reruns: what replays of this run found, where there were any.
    """

    course: Course
    transmission: Transmission
    hazard: Hazard
    contagion: Contagion
    emotional: Emotional
    edges: list[Edge]
    reruns: list[Comparison]

    @property
    def confirmed(self) -> dict[tuple[str, int, int], str]:
        """(strain, source, target) of each edge whose effect was tested → what was found, in words."""
        told: dict[tuple[str, int, int], str] = {}
        for edge in self.edges:
            if edge.confirmed is not None and len(edge.messages) == 1 and edge.variant != "placebo":
                words = "confirmed" if edge.confirmed else "not confirmed"
                found = f"{edge.variant}: {words} ({_told(edge.effect)})"
                key = (edge.strain, edge.sources[0], edge.agent)
                told[key] = f"{told[key]}; {found}" if key in told else found
        return told


def study(run: Run, found: Findings) -> Study:
    """Everything about the strain that `found` is about. LogError: the log, or what replays left beside it, cannot be read."""
    strain = found.strain
    of = transmission(run, strain)
    return Study(
        course(run, strain, found=found.chains, tree=of.r0),
        of,
        hazard([run], strain),
        contagion(run, strain),
        emotional_contagion(run, strain=strain),
        read_counterfactual(run),
        read_reruns(run, strain),
    )


def told(found: Study) -> dict[str, Any]:
    """The numbers of a study for summary.json, each with its interval, or with the reason why there is none."""
    growth, offspring, serial = found.course.growth, found.transmission.offspring, found.transmission.serial
    numbers: Mapping[str, Estimate | None] = {
        "growth_rate": growth.rate,
        "doubling_time": growth.doubling,
        "r0_from_growth": found.course.basic.growth,
        "r0_from_final_size": found.course.basic.size,
        "dispersion": offspring.k if offspring else None,
        "extinction_probability": offspring.extinction if offspring else None,
        "serial_interval": serial.mean,
    }
    return {
        **{name: summary_of(one) for name, one in numbers.items()},
        "dose_response": {"verdict": found.hazard.verdict, "words": found.hazard.words},
        "contagion": {"p": found.contagion.p, "verdict": found.contagion.verdict},
        "emotional_contagion": {
            of.axis: {"slope": summary_of(of.lagged.contagion), "placebo": summary_of(of.lagged.placebo)}
            for of in found.emotional.of
        },
        "counterfactual": {
            "tested": sum(edge.confirmed is not None for edge in found.edges),
            "confirmed": sum(bool(edge.confirmed) for edge in found.edges),
        },
    }


def summary_of(one: Estimate | None) -> dict[str, Any]:
    """An estimate as plain JSON."""
    if one is None:
        return {"reason": "no case could be followed", "n": 0}
    if one.value is None:
        return {"reason": one.reason, "n": one.n}
    return {
        "estimate": one.value,
        **{key: value for key, value in asdict(one).items() if key not in ("value",) and value is not None},
    }


def _told(effect: Estimate) -> str:
    if effect.value is None or effect.low is None or effect.high is None:
        return str(effect.reason)
    return f"{effect.value:+.0%}, 95% interval {effect.low:+.0%} to {effect.high:+.0%}"
