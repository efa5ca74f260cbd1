"""From courses to a contagion model: every rate with its interval, the model itself, and a configuration that runs it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from contagium.agents.mechanistic.contagion import ContagionModel
from contagium.agents.mechanistic.coupling import Coupling
from contagium.envs.rng import Streams
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.fit.compose import Rates, compose
from contagium.sim.analysis.fit.course import E, I, R, S, course
from contagium.sim.analysis.fit.hazard import CLEAR, FEWEST_FOR_SHAPE, Hazard, compare
from contagium.sim.analysis.fit.hesitation import Hesitating, hesitation
from contagium.sim.analysis.fit.likelihood import AXES, Fit, Likelihood, Rows, Values, hazards
from contagium.sim.analysis.fit.sampling import sample
from contagium.sim.analysis.fit.search import METHOD, Searched, estimated, maximise
from contagium.sim.analysis.fit.seen import Seen, drawn, others, rate, shedding
from contagium.sim.analysis.tables import Table, number
from contagium.sim.files import put
from contagium.sim.log import LogError, Run

FEWEST_FOR_MODIFIERS = 50
"""Onsets below which no effect of affect is fitted."""

LEAST_SPREAD = 0.05
"""Standard deviation of own affect below which its effect cannot be seen."""


@dataclass(frozen=True)
class Fitted:
    """A contagion model measured in a run, or in several.

    runs, agents, kind: what it was measured in. hazard: the forms compared. fit: the one taken. objective, at: its likelihood,
    with a hidden hesitation where there is one, and the maximum of that. estimates: by name of the rate, with intervals. rates:
    the point estimates as the model needs them. notes: what has to be known to read it.
    """

    runs: int
    agents: int
    kind: str
    hazard: Hazard
    fit: Fit
    objective: Searched
    at: Values
    estimates: dict[str, Estimate]
    rates: Rates
    notes: tuple[str, ...]
    seen: Seen

    @property
    def model(self) -> ContagionModel:
        return self.rates.model

    @property
    def coupling(self) -> Coupling:
        return self.rates.coupling

    def draws(self, count: int, streams: Streams) -> list[Rates]:
        """Rates drawn from what the data leave open, `count` of them; each is as likely as the data make it."""
        rng = streams.generator("fitted draws")
        names = self.objective.names
        found = []
        others = drawn(self.seen, self.fit, count, rng)
        for at, other in zip(sample(self.objective, self.at, count, rng), others, strict=True):
            hesitates = {"hesitation": math.exp(at[-1])} if names[-1] == "hesitation" else {}
            part = replace(self.fit, at=at[: len(self.fit.form.parameters)])
            found.append(_rates(self.seen, part, hesitates | other))
        return found

    arguments: ClassVar[str] = "agents=mechanistic model=fitted coupling=fitted"
    """What runs the model, given the directory that `write` wrote to: `contagium --config-dir DIR agents=mechanistic …`."""

    def write(self, directory: Path) -> None:
        """Write `model/fitted.yaml` and `coupling/fitted.yaml` there: a directory of the user's own choices, for Hydra."""
        import yaml

        response = self.rates.response
        kind = type(response)
        settings = {name: value for name, value in self.rates.arguments.items() if value is not None}
        settings["response"] = {"_target_": f"{kind.__module__}.{kind.__name__}", **asdict(response)}
        parts: dict[str, dict[str, Any]] = {
            "model": {"_target_": f"{compose.__module__}.{compose.__name__}", **settings},
            "coupling": {"defaults": ["none"], "susceptibility": list(self.rates.modifiers)},
        }
        for group, content in parts.items():
            (directory / group).mkdir(parents=True, exist_ok=True)
            told = f"# Measured in {self.runs} run(s) of {self.agents:,} agents, kind {self.kind}. Rates are per step.\n"
            put(directory / group / "fitted.yaml", (told + yaml.safe_dump(content, sort_keys=False)).encode())


def fit(runs: Sequence[Run], strain: str | None = None, kind: str = "case") -> Fitted:
    """A contagion model of one or several runs of the same agents. LogError: too little happened to fit anything.

    `kind` "latent" is the truth that mechanistic agents log; "case" is what the observer saw.
    """
    seen = Seen(tuple(course(run, strain, kind, affect=True) for run in runs))
    rows = seen.rows(S, seen.caught)
    found = compare(rows, seen.left_out)
    if not found.fits:
        raise LogError(found.words)
    taken, objective, at, notes = _taken(seen, rows, found)
    hidden = objective.names[-1] == "hesitation"
    method = "hidden stage, maximum likelihood, profile interval" if hidden else METHOD
    onsets = objective.rows.events if isinstance(objective, Hesitating) else rows.events
    estimates = {name: estimated(objective, at, name, onsets, method) for name in objective.names}
    if taken.form.name == "threshold" and found.threshold is not None:
        estimates["threshold"] = Estimate(taken.form.at, *found.threshold, "likelihood interval over the doses seen", rows.events)
    if seen.caught == E:
        estimates["hesitation"] = rate(seen.rows(E, I))
    modified, more = (None, []) if hidden else _modified(rows, taken)
    notes += more
    if modified is not None:
        felt = Likelihood(rows.felt, modified.form)
        better = modified.aic < taken.aic - CLEAR
        told = modified.form.parameters if better else modified.form.modifiers
        estimates |= {name: estimated(felt, modified.at, name, rows.events, method) for name in told}
        if better:
            taken, objective, at = modified, felt, modified.at
        else:
            notes.append("The effect of own affect is left out of the model: it fits about as well without.")
    estimates |= others(seen, taken) | shedding(seen)
    rates = _rates(seen, taken, {name: found.value for name, found in estimates.items() if found.value is not None})
    notes += _cautions(seen)
    return Fitted(len(runs), seen.courses[0].size, kind, found, taken, objective, at, estimates, rates, tuple(notes), seen)


SIMPLEST = (("linear", "weight"), ("saturating", "weight"), ("hill", "weight"), ("linear", "share"), ("hill", "share"))
"""Forms in the order in which one is preferred to another that is not clearly worse, by `CLEAR` in AIC."""


def _taken(seen: Seen, rows: Rows, found: Hazard) -> tuple[Fit, Searched, Values, list[str]]:
    """The form that the model has, its likelihood and its maximum; with a hidden hesitation where that fits better."""
    whole = [fit for fit in found.fits if fit.form.spontaneous]
    ways: list[tuple[Fit, Searched, Values, float]] = [(fit, Likelihood(rows.alike, fit.form), fit.at, fit.aic) for fit in whole]
    notes = []
    followed = sum(c.followed.rows(S, I).events for c in seen.courses) if seen.caught != E else 0
    if followed >= FEWEST_FOR_SHAPE:
        linear, hill = (next(f for f in whole if (f.form.name, f.form.of) == (name, "weight")) for name in ("linear", "hill"))
        for fit in [linear, hill] if hill.aic < linear.aic - CLEAR else [linear]:
            objective, at, aic = hesitation(seen.courses, fit.form)
            # Without hesitation more turns may count: what it gains is told by those that both count.
            gain = maximise(objective.rows, fit.form).aic - aic
            ways.append((replace(fit, at=at[:-1]), objective, at, fit.aic - gain))
    elif seen.caught != E:
        notes.append(f"Hesitation: not sought, {followed} onsets are too few, {FEWEST_FOR_SHAPE} are needed.")
    best = min(aic for *_, aic in ways)
    good = [way for way in ways if way[-1] <= best + CLEAR]
    order = {(name, of): k for k, (name, of) in enumerate(SIMPLEST)}
    chosen = min(good, key=lambda way: (order.get((way[0].form.name, way[0].form.of), 9), len(way[1].names), way[-1]))
    if chosen[1].names[-1] != "hesitation" and not notes and seen.caught != E:
        notes.append("Hesitation: none; that who caught it shows it at once fits as well.")
    return *chosen[:3], notes


def _modified(rows: Rows, taken: Fit) -> tuple[Fit | None, list[str]]:
    """The form with the effect of own affect; and why not, where it cannot be told."""
    if rows.events < FEWEST_FOR_MODIFIERS:
        return None, [f"Effect of own affect: not fitted, {rows.events} onsets are too few, {FEWEST_FOR_MODIFIERS} are needed."]
    if taken.form.name == "none":
        return None, []
    heard = rows.take(rows.dose > 0)
    known = ~np.isnan(heard.affect).any(axis=1)
    if known.mean() < 0.9:
        return None, [f"Effect of own affect: not fitted, it is known in {known.mean():.0%} of turns, 90% are needed."]
    axes = tuple(axis for k, axis in enumerate(AXES) if heard.affect[known, k].std() > LEAST_SPREAD)
    if not axes:
        return None, ["Effect of own affect: not fitted, for it hardly differs."]
    return maximise(rows.felt, replace(taken.form, modifiers=axes)), []


def _rates(seen: Seen, fit: Fit, others: Mapping[str, float]) -> Rates:
    """What a model of agents that show the strain in full in every message needs to spread it as it was seen to spread.

    A case's messages carry the mean dose of a case, so rate, half and threshold are on the scale of messages of cases. What was
    heard from who was no case becomes a part of the spontaneous rate.
    """
    strength = shedding(seen)["strength"].value or 1.0
    rows = seen.rows(S, seen.caught).alike
    calm = replace(rows, affect=np.zeros_like(rows.affect))
    stray = hazards(fit, replace(calm, dose=rows.background)) - hazards(fit, replace(calm, dose=np.zeros(len(rows))))
    share = float((rows.count * stray).sum() / (rows.count * rows.elapsed).sum())
    linear = fit.form.name == "linear"
    transmission = fit.of("transmission") * (strength if linear else 1.0)
    return Rates(
        transmission=transmission,
        spontaneous=fit.of("spontaneous") + share,
        form=replace(fit.form, at=None if fit.form.at is None else fit.form.at / strength),
        half=(fit.of("half") or 1.0) / strength,
        power=fit.of("power") or 1.0,
        hesitation=others.get("hesitation"),
        recovery=others.get("recovery", 0.0),
        relapse=others.get("relapse", 0.0),
        reinfection=others.get("reinfection", 0.0) * transmission,
        waning=others.get("waning", 0.0),
        lasting=seen.recovers == R,
        modifiers=(fit.of("valence"), fit.of("arousal"), fit.of("dominance")),
    )


def _cautions(seen: Seen) -> list[str]:
    notes = []
    if seen.left_out:
        notes.append(
            f"The rates of catching it leave out {seen.left_out:,} turns, before which a message was heard that has no good "
            "reading in the log, as those of agents that are not logged in detail."
        )
    if seen.courses[0].kind == "case":
        notes.append(
            "Cases are what the observer calls so: false alarms raise the spontaneous rate and lower the transmission rate, "
            "cases that are missed lower both, and recovery counts from when it was confirmed."
        )
    return notes


TOLD = {
    "spontaneous": "spontaneous onset, per step",
    "transmission": "transmission rate, per step and dose",
    "half": "dose of half the highest rate",
    "power": "Hill power",
    "threshold": "threshold",
    "hesitation": "from catching to showing it, per step",
    "recovery": "recovery, per step",
    "relapse": "relapse by itself, per step",
    "reinfection": "catching it again, as a share of the first time's rate",
    "waning": "loss of immunity, per step",
    "shedding": "share of a case's messages that show it",
    "strength": "mean dose of a case's message",
    **{axis: f"log-hazard per unit of own {axis}" for axis in AXES},
}


def tables(found: Fitted) -> Iterator[Table]:
    """The rates."""
    rows = tuple((TOLD[name], number(e, ".3g"), f"{e.n:,}") for name, e in found.estimates.items())
    yield Table(
        "Fitted contagion model",
        f"Rates by maximum likelihood with 95% profile intervals, in {found.runs} run{'s' * (found.runs > 1)} of "
        f"{found.agents:,} agents. They describe who became a case after hearing what; homophily and shared shocks are in it. "
        + " ".join(found.notes),
        ("rate", "estimate (95% interval)", "n"),
        rows,
    )
