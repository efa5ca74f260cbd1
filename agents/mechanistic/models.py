"""The committed contagion models, each a value made from its rates. Rates are per unit of time; in a world, per step.

Where a parameter ends in `_dwell`, a dwell-time distribution given there takes the place of the exponential one of the rate.
"""

from __future__ import annotations

from contagium.agents.mechanistic.contagion import ContagionModel, Progression, Shows, Transmission
from contagium.agents.mechanistic.dwell import Dwell
from contagium.agents.mechanistic.response import Hill, Threshold


def _leave(origin: str, target: str, rate: float, dwell: Dwell | None = None) -> Progression:
    return Progression(origin, target, rate) if dwell is None else Progression(origin, target, dwell=dwell)


def si(transmission_rate: float = 0.1) -> ContagionModel:
    """Susceptible, infectious for good."""
    return ContagionModel(("S", "I"), (Transmission("I", "S", "I", transmission_rate),))


def sis(transmission_rate: float = 0.1, recovery_rate: float = 0.2, infectious_dwell: Dwell | None = None) -> ContagionModel:
    """Susceptible, infectious, susceptible again."""
    spread = Transmission("I", "S", "I", transmission_rate)
    return ContagionModel(("S", "I"), (spread,), (_leave("I", "S", recovery_rate, infectious_dwell),))


def sir(transmission_rate: float = 0.1, recovery_rate: float = 0.2, infectious_dwell: Dwell | None = None) -> ContagionModel:
    """Susceptible, infectious, recovered for good. Source: Kermack & McKendrick 1927."""
    spread = Transmission("I", "S", "I", transmission_rate)
    return ContagionModel(("S", "I", "R"), (spread,), (_leave("I", "R", recovery_rate, infectious_dwell),))


def sirs(
    transmission_rate: float = 0.1,
    recovery_rate: float = 0.2,
    waning_rate: float = 0.05,
    infectious_dwell: Dwell | None = None,
    immune_dwell: Dwell | None = None,
) -> ContagionModel:
    """Susceptible, infectious, recovered, and susceptible again when immunity has waned."""
    ends = _leave("I", "R", recovery_rate, infectious_dwell), _leave("R", "S", waning_rate, immune_dwell)
    return ContagionModel(("S", "I", "R"), (Transmission("I", "S", "I", transmission_rate),), ends)


def seir(
    transmission_rate: float = 0.1,
    onset_rate: float = 0.25,
    recovery_rate: float = 0.2,
    latent_dwell: Dwell | None = None,
    infectious_dwell: Dwell | None = None,
) -> ContagionModel:
    """Susceptible, exposed (caught, not yet infectious), infectious, recovered for good."""
    ends = _leave("E", "I", onset_rate, latent_dwell), _leave("I", "R", recovery_rate, infectious_dwell)
    return ContagionModel(("S", "E", "I", "R"), (Transmission("I", "S", "E", transmission_rate),), ends)


def seirs(
    transmission_rate: float = 0.1,
    onset_rate: float = 0.25,
    recovery_rate: float = 0.2,
    waning_rate: float = 0.05,
    latent_dwell: Dwell | None = None,
    infectious_dwell: Dwell | None = None,
    immune_dwell: Dwell | None = None,
) -> ContagionModel:
    """Susceptible, exposed, infectious, recovered, and susceptible again when immunity has waned."""
    once = seir(transmission_rate, onset_rate, recovery_rate, latent_dwell, infectious_dwell)
    again = _leave("R", "S", waning_rate, immune_dwell)
    return ContagionModel(once.compartments, once.transmissions, (*once.progressions, again))


def sisa(onset_rate: float = 0.01, transmission_rate: float = 0.1, recovery_rate: float = 0.2) -> ContagionModel:
    """Susceptible, infectious, susceptible again, with spontaneous onset besides contagion.

    Emotions that last are fitted by it. Source: Hill et al. 2010.
    """
    return ContagionModel(
        ("S", "I"),
        (Transmission("I", "S", "I", transmission_rate),),
        (Progression("S", "I", onset_rate), Progression("I", "S", recovery_rate)),
    )


def carrier(
    transmission_rate: float = 0.3,
    symptomatic_share: float = 0.3,
    uptake_rate: float = 0.5,
    clearing_rate: float = 0.1,
    onset_rate: float = 0.2,
    shedding_rate: float = 0.3,
    recovery_rate: float = 0.1,
) -> ContagionModel:
    """Exposed, carrier, symptomatic, shedding, recovered: what a persona does before and after it shows.

    An exposed agent takes the persona up (E to C, at uptake_rate) or shakes it off (E to S, at clearing_rate). A carrier has it
    and does not show it; a symptomatic agent shows it; a shedding one also asks others to take it up. Both transmit, a
    symptomatic agent at `symptomatic_share` (in (0, 1]) of the rate of a shedding one, and shows it with that strength. The
    split follows the states that infectious-disease models tell apart (Keeling & Rohani 2008); the rates are ours.
    """
    if not 0 < symptomatic_share <= 1:
        raise ValueError(f"symptomatic_share must be in (0, 1], got {symptomatic_share}")
    return ContagionModel(
        ("S", "E", "C", "Y", "H", "R"),
        (
            Transmission("H", "S", "E", transmission_rate),
            Transmission("Y", "S", "E", symptomatic_share * transmission_rate),
        ),
        (
            Progression("E", "C", uptake_rate),
            Progression("E", "S", clearing_rate),
            Progression("C", "Y", onset_rate),
            Progression("Y", "H", shedding_rate),
            Progression("H", "R", recovery_rate),
        ),
        seeded="H",
        shows=(Shows("Y", strength=symptomatic_share), Shows("H")),
    )


def watts(share: float = 0.18, rate: float = 1.0) -> ContagionModel:
    """Threshold cascade: an agent adopts for good once at least `share` of what it hears comes from adopters.

    rate: how often an agent looks, per unit of time; it sets the pace and not the outcome. Source: Watts 2002.
    """
    return ContagionModel(("S", "I"), (Transmission("I", "S", "I", rate, response=Threshold(share)),))


def centola_macy(sources: float = 2, rate: float = 1.0) -> ContagionModel:
    """Complex contagion: an agent adopts for good once `sources` neighbours have (their summed weight). Centola & Macy 2007."""
    return ContagionModel(("S", "I"), (Transmission("I", "S", "I", rate, response=Threshold(sources, of="weight")),))


def dose_response(
    highest_rate: float = 1.0, half: float = 2.0, power: float = 2.0, recovery_rate: float = 0.2, lasting: bool = True
) -> ContagionModel:
    """Complex contagion by dose: hazard = highest_rate × dose^power / (half^power + dose^power), the dose being summed weight.

    lasting: who has recovered is immune; otherwise susceptible again. Source: Dodds & Watts 2004.
    """
    spread = Transmission("I", "S", "I", highest_rate, response=Hill(half, power))
    if lasting:
        return ContagionModel(("S", "I", "R"), (spread,), (Progression("I", "R", recovery_rate),))
    return ContagionModel(("S", "I"), (spread,), (Progression("I", "S", recovery_rate),))


def two_strains(
    transmission_rates: tuple[float, float] = (0.1, 0.1),
    recovery_rates: tuple[float, float] = (0.2, 0.2),
    cross_immunity: float = 1.0,
    mutation_rate: float = 0.0,
) -> ContagionModel:
    """Two strains, A and B, one at a time in an agent, with immunity for life against the strain one has had.

    cross_immunity: by how much having had one lowers the hazard of the other, 1: not at all possible, 0: no protection.
    mutation_rate: at which A turns to B within an agent that carries A as its first; it has then had A.
    AB carries A and has had B, BA the reverse; RA, RB and R have recovered from A, from B, from both.
    Source: Castillo-Chavez et al. 1989, without coinfection.
    """
    for name, rates in (("transmission_rates", transmission_rates), ("recovery_rates", recovery_rates)):
        if len(rates) != 2:
            raise ValueError(f"{name} must be two numbers, one a strain, got {len(rates)}")
    if not 0 <= cross_immunity <= 1:
        raise ValueError(f"cross_immunity must be a share in [0, 1], got {cross_immunity}")
    rate = dict(zip("AB", transmission_rates, strict=True))
    ends = dict(zip("AB", recovery_rates, strict=True))
    spread, moves = [], [Progression("A", "BA", mutation_rate)]
    for strain, other in ("AB", "BA"):
        first, second = strain, strain + other
        for source in (first, second):
            spread.append(Transmission(source, "S", first, rate[strain]))
            spread.append(Transmission(source, "R" + other, second, rate[strain] * (1 - cross_immunity)))
        moves += [Progression(first, "R" + strain, ends[strain]), Progression(second, "R", ends[strain])]
    names = ("S", "A", "B", "RA", "RB", "AB", "BA", "R")
    shows = tuple(Shows(name, "AB".index(name[0])) for name in ("A", "AB", "B", "BA"))
    return ContagionModel(names, tuple(spread), tuple(moves), seeded=("A", "B"), shows=shows)
