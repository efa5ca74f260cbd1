"""A contagion model from rates: what is fitted, as a value that runs."""

from __future__ import annotations

from dataclasses import dataclass

from contagium.agents.mechanistic.contagion import ContagionModel, Progression, Transmission
from contagium.agents.mechanistic.coupling import Coupling
from contagium.agents.mechanistic.response import Hill, Linear, Of, Response, Threshold
from contagium.sim.analysis.fit.likelihood import Form


def compose(
    transmission_rate: float,
    spontaneous_rate: float = 0.0,
    response: Response | None = None,
    hesitation_rate: float | None = None,
    recovery_rate: float = 0.0,
    relapse_rate: float = 0.0,
    reinfection_rate: float = 0.0,
    waning_rate: float = 0.0,
    lasting: bool = True,
) -> ContagionModel:
    """A model of S, E, I and R of such rates per step; what has a rate of 0 is left out.

    hesitation_rate: from E, where who caught it shows nothing yet, to I; None: there is no E. lasting: who recovers goes to R,
    relapses by itself (relapse_rate), catches it again (reinfection_rate) or loses its immunity (waning_rate); otherwise to S.
    """
    caught, answer = "I" if hesitation_rate is None else "E", response or Linear()
    spread = [Transmission("I", "S", caught, transmission_rate, response=answer)]
    moves = [Progression("S", caught, spontaneous_rate)] if spontaneous_rate else []
    moves += [Progression("E", "I", hesitation_rate)] if hesitation_rate is not None else []
    immune = lasting and recovery_rate > 0
    if recovery_rate:
        moves.append(Progression("I", "R" if immune else "S", recovery_rate))
    if immune:
        spread += [Transmission("I", "R", "I", reinfection_rate, response=answer)] if reinfection_rate else []
        moves += [Progression("R", to, rate) for to, rate in (("I", relapse_rate), ("S", waning_rate)) if rate]
    names = ("S", *(("E",) if caught == "E" else ()), "I", *(("R",) if immune else ()))
    return ContagionModel(names, tuple(spread), tuple(moves))


@dataclass(frozen=True)
class Rates:
    """The arguments of `compose` and the modifiers of one model, as numbers. half, power, at, of: of the response."""

    transmission: float
    spontaneous: float = 0.0
    form: Form = Form("linear")  # noqa: RUF009
    half: float = 1.0
    power: float = 1.0
    hesitation: float | None = None
    recovery: float = 0.0
    relapse: float = 0.0
    reinfection: float = 0.0
    waning: float = 0.0
    lasting: bool = True
    modifiers: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def response(self) -> Response:
        of: Of = "share" if self.form.of == "share" else "weight"
        if self.form.name in ("saturating", "hill"):
            return Hill(self.half, self.power, of)
        if self.form.name == "threshold":
            return Threshold(min(self.form.at or 0.0, 1.0) if of == "share" else self.form.at or 0.0, of)
        # In proportion to the share: a curve that bends only far beyond the whole.
        return Hill(FAR, 1.0, "share") if of == "share" else Linear()

    @property
    def arguments(self) -> dict[str, object]:
        """What `compose` is called with."""
        far = (1 + FAR) if self.form.name == "linear" and self.form.of == "share" else 1.0
        return {
            "transmission_rate": self.transmission * far,
            "spontaneous_rate": self.spontaneous,
            "response": self.response,
            "hesitation_rate": self.hesitation,
            "recovery_rate": self.recovery,
            "relapse_rate": self.relapse,
            "reinfection_rate": self.reinfection * far,
            "waning_rate": self.waning,
            "lasting": self.lasting,
        }

    @property
    def model(self) -> ContagionModel:
        return compose(**self.arguments)  # type: ignore[arg-type]

    @property
    def coupling(self) -> Coupling:
        return Coupling(susceptibility=self.modifiers)


FAR = 1000.0
"""Half dose of a Hill curve that is a straight line in all but name: at a share of 1 it is a thousandth below one."""
