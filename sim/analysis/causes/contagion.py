"""Contagion or not: all tests of one strain, the verdict they allow together, and the tables people read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from contagium.envs.rng import Streams
from contagium.sim.analysis.causes.evidence import Evidence, read_in_full
from contagium.sim.analysis.causes.permutation import Finding, attributable, heard_by_chance, heard_more
from contagium.sim.analysis.causes.placebo import afterwards, other_networks, turned_round
from contagium.sim.analysis.causes.randomisation import alike_before, influence, near_the_seeds, selection
from contagium.sim.analysis.causes.record import evidence
from contagium.sim.analysis.causes.shock import adjustments
from contagium.sim.analysis.causes.timing import closer_in_time
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.shares import holm
from contagium.sim.analysis.spread.epidemic import chosen_strain
from contagium.sim.analysis.tables import Reason, Table, number, p_value
from contagium.sim.reading import Run

LEVEL = 0.05

PERMUTATIONS = 999

DRAWS = 20_000_000
"""Rows at risk times permutations: of more, fewer permutations are made, but at least 199."""


@dataclass(frozen=True)
class Contagion:
    """What the log of one run says about contagion. p: of the verdict, None where it cannot be told: the larger of the first two
    p-values of `tests`. corrected: Holm's, for all `tests` together. alike: likeness beforehand, by trait, corrected by itself.
    ratios: of hazards, by adjustment and for exposures that cannot be a cause. share: of the onsets, attributable to hearing.
    """

    strain: str
    verdict: str
    p: float | None
    tests: tuple[Finding, ...]
    corrected: tuple[float | None, ...]
    alike: tuple[Finding, ...]
    ratios: tuple[Estimate, ...]
    share: Estimate
    permutations: int


def contagion(run: Run, strain: str | None = None, kind: str = "case", permutations: int = PERMUTATIONS) -> Contagion:
    """Whether the cases of a strain follow from who heard whom. kind: "case" or "latent". The same log, the same numbers."""
    strain = chosen_strain(run, strain)
    return examined(evidence(run, strain, kind), strain, permutations)


def examined(of: Evidence, strain: str, permutations: int = PERMUTATIONS) -> Contagion:
    """`contagion` of evidence that is at hand. ValueError: fewer than 19 permutations, by which no p could be 0.05."""
    if permutations < 19:
        raise ValueError(f"permutations must be at least 19, got {permutations}")
    permutations = min(permutations, max(199, DRAWS // max(1, len(of.at))))
    streams = Streams(0)
    tests = tuple(
        test(of, permutations, streams.generator(f"contagion {test.__name__}"))
        for test in (heard_more, closer_in_time, near_the_seeds, heard_by_chance, influence, selection, other_networks)
    )
    alike = tuple(alike_before(of, permutations, streams.generator("contagion alike")))
    p, verdict = judged(tests[0], tests[1], tests[2:4])
    known = read_in_full(of)
    ratios = (*adjustments(known), afterwards(known), turned_round(known))
    share = attributable(known.strata, known.heard > 0, known.event)
    return Contagion(strain, verdict, p, tests, holm([one.p for one in tests]), alike, ratios, share, permutations)


def headline(of: Evidence, permutations: int, streams: Streams) -> float | None:
    """The p-value of the verdict alone: none of the other tests is made."""
    pair = [test(of, permutations, streams.generator(test.__name__)) for test in (heard_more, closer_in_time)]
    return judged(pair[0], pair[1])[0]


def judged(heard: Finding, close: Finding, by_design: Sequence[Finding] = ()) -> tuple[float | None, str]:
    """The p-value of the verdict and the verdict in words.

    Contagion is called where both tests reject: `heard_more` keeps its level under shocks, `closer_in_time` under likeness of
    those in touch, so that the larger p keeps it under either (intersection–union test: Berger 1982).
    """
    if heard.p is None or close.p is None:
        missing = "; ".join(f"{one.name}: {one.reason}" for one in (heard, close) if one.p is None)
        return None, f"It cannot be told whether this is contagion ({missing})."
    p = max(heard.p, close.p)
    if p <= LEVEL:
        verdict = (
            f"Signs of contagion (p = {p:.3f}): who had heard more was sooner a case than others in the same step, and the "
            "onsets of those in touch lie closer in time than their circle and common shocks let expect."
        )
    elif heard.p <= LEVEL:
        verdict = (
            f"What was heard tells who is next (p = {heard.p:.3f}), but not told from a likeness of those in touch: within a "
            f"circle their onsets lie no closer in time than by chance (p = {close.p:.3f})."
        )
    elif close.p <= LEVEL:
        verdict = (
            f"The onsets of those in touch lie close in time (p = {close.p:.3f}), but who had heard more was no sooner a case "
            f"than others in the same step (p = {heard.p:.3f}): not told from a common cause."
        )
    else:
        verdict = f"No sign of contagion (p = {p:.3f}), which does not show that there was none: see the power in docs/causes.md."
    for one in by_design:
        if one.p is not None:
            verdict += f" {CONFIRMS[one.name][one.p > LEVEL]} (p = {one.p:.3f})."
    return p, verdict


CONFIRMS = {
    "near the index cases, sooner a case": (
        "It bears contagion out that agents near the index cases, which were drawn at random, were cases sooner",
        "That agents near the index cases, which were drawn at random, were cases sooner was not found",
    ),
    "heard more by chance": (
        "It bears contagion out that who happened to be shown more of it was sooner a case",
        "That who happened to be shown more of it was sooner a case was not found",
    ),
}
"""What tests say that rest on a random draw: where they reject, and where not."""

HOLDS = (
    ("common shocks", "likeness"),
    ("likeness of a circle, common shocks", "likeness or shocks that differ within a circle"),
    ("likeness and shocks, for the index cases were drawn at random", "nothing, but it has little power"),
    ("likeness and shocks, for the draw was random", "nothing, but it has little power"),
    ("common shocks", "likeness"),
    ("likeness that does not choose ties", "agents that choose by something else"),
    ("common shocks, degree", "likeness"),
)
"""By test: what it holds out against, and what can deceive it."""


def tables(found: Contagion) -> Iterator[Table]:
    """What people read of it."""
    rows = [
        (one.name, one.words or Reason(one.reason), p_value(one.p), p_value(p), *holds)
        for one, p, holds in zip(found.tests, found.corrected, HOLDS, strict=True)
    ]
    says = (
        f"{found.verdict} The verdict rests on the first two tests, both of which must reject. One-sided p-values from up to "
        f"{found.permutations} permutations; corrected: for all tests of the table together (Holm). Likeness within a circle "
        "that changes in time cannot be told from contagion by any log; index cases drawn at random or a replay can."
    )
    yield Table(
        f"Contagion of {found.strain}, or not?",
        says,
        ("test", "found", "p", "corrected", "safe from", "deceived by"),
        tuple(rows),
    )
    says = (
        "How many times likelier a step brings an onset for who had heard the strain in the window before, with 95% intervals. "
        "Steps before which a message was heard whose dose is not known are left out. "
        "What a common shock makes falls away by step; what comes too late, or from who hears and is not heard, should be 1: "
        f"where it is not, there is another cause than contagion. Were all of it an effect, {_share(found.share)}."
    )
    yield Table(
        f"Hearing {found.strain} and becoming a case",
        says,
        ("hazard ratio", "value", "onsets"),
        tuple((one.method, number(one), str(one.n)) for one in found.ratios),
        secondary=True,
    )
    if found.alike:
        corrected = holm([one.p for one in found.alike])
        pairs = zip(found.alike, corrected, strict=True)
        says = (
            "Assortativity of what is known of agents from before they heard anybody: where those in touch are alike, beware of "
            "homophily."
        )
        traits = tuple(
            (one.name.partition(": ")[2], one.words or Reason(one.reason), p_value(one.p), p_value(p)) for one, p in pairs
        )
        yield Table("Alike before anything was heard?", says, ("trait", "found", "p", "corrected"), traits, secondary=True)


def _share(share: Estimate) -> str:
    return (
        f"the share of onsets due to hearing would be {number(share)}"
        if share.value is not None
        else f"a share cannot be said ({share.reason})"
    )
