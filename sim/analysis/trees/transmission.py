"""All that transmission trees tell of one run: how many each case caused, how soon, who and what did most, what outlived it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from contagium.agents.policy import name_of
from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.spread.epidemic import chosen_strain, last_step, moves
from contagium.sim.analysis.tables import Table, number
from contagium.sim.analysis.trees import influence
from contagium.sim.analysis.trees.forest import Measure, Sampled, sample, shape
from contagium.sim.analysis.trees.influence import Influence
from contagium.sim.analysis.trees.intervals import METHOD, Intervals, intervals
from contagium.sim.analysis.trees.mutation import CASES, Mutation, Strength, mutation
from contagium.sim.analysis.trees.offspring import Offspring, offspring
from contagium.sim.analysis.trees.reproduction import counts_of, estimate, first_generations, half, trees
from contagium.sim.analysis.trees.tree import Chains, candidates, chains
from contagium.sim.log import Run
from contagium.sim.observer.agreement import Measured

STRENGTH = "Strength of the strain by generation"

WORDS = 60
"""Letters of a message that are shown."""


@dataclass(frozen=True)
class Transmission:
    """What the trees of one strain tell. window: steps for which a case was followed. r0: from early generations.

    offspring: None where no case could be followed. serial: from onset to onset; generation: from infection to infection, known
    of mechanistic agents alone. trees: how many were sampled; 1 where every source is certain. agents, messages: those that
    spread most. names: agent → name, of those. words: message → its first words, of those that have any.
    """

    strain: str
    kind: str
    cases: int
    window: int
    trees: int
    r0: Estimate
    offspring: Offspring | None
    serial: Intervals
    generation: Intervals | None
    shape: tuple[Measure, ...]
    agents: tuple[Influence, ...]
    messages: tuple[Influence, ...]
    mutation: Mutation
    names: dict[int, str]
    words: dict[int, str]


def transmission(run: Run, strain: str | None = None, kind: str = "case") -> Transmission:
    """Everything about who infected whom in one run, as far as the log tells. kind: of the cases, "case" or "latent"."""
    strain, last = chosen_strain(run, strain), last_step(run)
    found, causes = chains(run, strain, kind), candidates(run, strain, kind)
    sampled, window = sample(found), max(half(last), 1)
    joint = trees(found, last, window)
    agents, messages = influence.agents(found, sampled), influence.messages(found, sampled, causes)
    named = dict(zip(run.agents["id"].tolist(), run.agents["name"].tolist(), strict=True))
    return Transmission(
        strain=strain,
        kind=kind,
        cases=len(found.cases),
        window=window,
        trees=len(sampled.parent),
        r0=estimate(found, last, sampled=joint),
        offspring=_offspring(found, joint, last, window),
        serial=intervals(found, last, sampled),
        generation=_generation(run, strain, last),
        shape=shape(found, sampled),
        agents=agents,
        messages=messages,
        mutation=mutation(run, found, causes, strain),
        names={one.agent: str(named.get(one.agent, name_of(one.agent))) for one in (*agents, *messages)},
        words=_words(run, [one.message for one in messages if one.message is not None]),
    )


def _words(run: Run, messages: list[int]) -> dict[int, str]:
    """What each of these messages began with."""
    ids = ",".join(map(str, messages))
    texts = run.rows(f"SELECT id, substr(text, 1, {WORDS + 1}) FROM message WHERE id IN ({ids}) AND text IS NOT NULL")
    return {int(message): text if len(text) <= WORDS else f"{text[:WORDS]}…" for message, text in texts}


def _offspring(found: Chains, sampled: Sampled, last: int, window: int) -> Offspring | None:
    if not (found.cases["onset"] + window <= last).any():
        return None
    return offspring(counts_of(found, sampled, first_generations(found, last, window), last, window))


def _generation(run: Run, strain: str, last: int) -> Intervals | None:
    return intervals(chains(run, strain, "latent"), last) if len(moves(run, strain, "latent")) else None


def tables(found: Transmission) -> Iterator[Table]:
    """The tables of what was found, most asked for first."""
    yield _numbers(found)
    if found.cases:
        yield _shape(found)
    if found.agents:
        yield _agents(found)
    if found.messages:
        yield _messages(found)
    if found.mutation.facets:
        yield _facets(found.mutation)
    if found.mutation.strength:
        yield _strength(found.mutation.strength)


def _numbers(found: Transmission) -> Table:
    says = (
        f"From the candidate sources of each case, each with its probability, by {_trees(found.trees)}. Cases count that could "
        f"be followed for {found.window} steps, with what they caused in them. Dispersion k: the smaller, the fewer cases cause "
        "most others. Candidates are not proven causes, and what no candidate explains counts for nobody."
    )
    o, nothing = found.offspring, unknown(f"no case could be followed for {found.window} steps", 0)
    mean, k, extinction, few = (o.mean, o.k, o.extinction, o.few) if o else (nothing,) * 4
    whole, onsets, infections = (
        "first whole generations",
        "onset to onset, corrected for the end of the run",
        "infection to infection",
    )
    # Of those counted many are no early cases, so that this chance is larger than R0 lets expect.
    dying = whole if extinction.value is None else f"{whole}: secondary cases while susceptible agents run out, not R0"
    rows = [
        ("reproduction number R0", "index cases and those they caused", found.r0, "z.2f"),
        ("secondary cases of a case", whole, mean, "z.2f"),
        ("dispersion k", whole, k, "z.2f"),
        ("chance that chains from one case die out", dying, extinction, "z.2f"),
        ("share of cases that cause 80% of others", whole, few, "z.0%"),
        ("serial interval, mean steps", onsets, found.serial.mean, "z.2f"),
        ("serial interval, sd", onsets, found.serial.sd, "z.2f"),
    ]
    generation = found.generation
    hidden = unknown("the agents' own state is not known", 0, METHOD)
    rows += [
        ("generation interval, mean steps", infections, generation.mean if generation else hidden, "z.2f"),
        ("generation interval, sd", infections, generation.sd if generation else hidden, "z.2f"),
    ]
    told = tuple((name, of, number(one, form), str(one.n)) for name, of, one, form in rows)
    return Table("Transmission", says, ("what", "from", "estimate (95% interval)", "n"), told)


def _trees(count: int) -> str:
    return "the one tree there is" if count == 1 else f"{count} sampled trees"


def _shape(found: Transmission) -> Table:
    says = (
        "Roots: cases without a source, index cases among them. Depth: generations after the first. Width: cases of the largest "
        "generation. The range holds 95% of sampled trees: it says how far the tree depends on who infected whom, not how "
        "another run would have gone."
    )
    rows = tuple((m.name, f"{m.likeliest:.0f}", number(m.sampled, "z.1f")) for m in found.shape)
    return Table("Shape of the transmission tree", says, ("", "likeliest tree", "sampled trees"), rows, secondary=True)


CAUSED = (
    "Cases caused at first hand, and in all with those that these caused in turn, expected over all trees, with the range of "
    "95% of sampled trees. Early cases have most below them for being early; it is no measure of talent."
)


def _agents(found: Transmission) -> Table:
    rows = tuple((found.names[one.agent], *_caused(one)) for one in found.agents)
    return Table("Most influential agents", CAUSED, ("agent", "direct", "in all"), rows)


def _messages(found: Transmission) -> Table:
    """Models wrote the words: whoever shows the table escapes them."""
    rows = tuple(
        (f"{one.message}", found.names[one.agent], found.words.get(one.message, "no words"), *_caused(one))
        for one in found.messages
        if one.message is not None
    )
    head = ("message", "agent", "its first words", "direct", "in all")
    return Table("Most influential messages", CAUSED, head, rows, secondary=True)


def _caused(one: Influence) -> tuple[str, str]:
    return number(one.direct, "z.1f"), number(one.total, "z.1f")


def _facets(found: Mutation) -> Table:
    says = (
        "Which parts of the persona are handed on: the share of cases that showed a facet in their first signs, after a message "
        "that showed it and after one that did not. A difference above 0 means it survives transmission; one of several facets "
        f"leaves 0 by chance in 1 of 20.{_bounded(found)}"
    )
    rows = tuple(
        (f.facet, f.instrument, _share(f.kept), _share(f.anew), _named(f.difference, "+z.2f", "candidate messages"))
        for f in found.facets
    )
    return Table("Facets along the tree", says, ("facet", "instrument", "kept", "anew", "difference"), rows, secondary=True)


def _named(of: Measured, form: str, units: str) -> str:
    """A number, or why there is none, with what was counted by its name."""
    return number(
        of
        if of.reason is None
        else replace(of, reason=of.reason.replace(" units ", f" {units} ").replace(" agents", " sources")),
        form,
    )


def _bounded(found: Mutation) -> str:
    return f" Looked at: the {CASES:,} earliest cases." if found.looked_at == CASES else ""


def _share(of: float | None) -> str:
    return "none" if of is None else f"{of:.0%}"


def _strength(found: Strength) -> Table:
    says = (
        f"Mean reading of first signs by {found.instrument}. Change from one generation to the next: "
        f"{_named(found.drift, '+z.3f', 'cases')}. Only what reads high enough to make a case is here, so that a decline is "
        "understated."
    )
    rows = tuple((str(generation), str(cases), f"{mean:z.2f}") for generation, cases, mean in found.generations)
    return Table(STRENGTH, says, ("generation", "cases", "mean"), rows, secondary=True)
