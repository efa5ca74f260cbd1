"""Who infected whom: candidate links between cases, and the transmission tree they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.sim.analysis.spread.epidemic import onsets
from contagium.sim.log import Run

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Chains:
    """Cases and the links between them.

    cases: by onset; agent, onset, confirmed, index, parent (the likeliest source, −1 for a root), probability (of that parent),
    explained (probability of all candidates together), generation, spontaneous. links: source, target, probability; agents, each
    pair once.
    """

    cases: pd.DataFrame
    links: pd.DataFrame


def chains(run: Run, strain: str | None = None, kind: str = "case") -> Chains:
    """Cases with their likeliest parents, and all candidate links.

    A link needs a source whose onset was before its target's, whenever they were confirmed: probability given to anyone else (an
    agent that shows some of the persona but never was a case) stays unexplained. A case with no link and no seeding is
    spontaneous: a root of generation 0.
    """
    cases = onsets(run, strain, kind)
    links = _links(run, cases)
    source, target, share = (links[name].to_numpy() for name in ("source", "target", "probability"))
    agent = cases["agent"].to_numpy()
    row = _lookup(agent, target)
    explained = np.bincount(row, share, minlength=len(cases))
    parent, probability = np.full(len(cases), -1), np.zeros(len(cases))
    # Later rows overwrite earlier ones: the likeliest comes last, of equals the source with the smallest number.
    order = np.lexsort((-source, share, row))
    parent[row[order]], probability[row[order]] = source[order], share[order]
    cases = cases.assign(
        parent=parent,
        probability=probability,
        explained=explained,
        generation=_generations(cases["onset"].to_numpy(), _lookup(agent, parent)),
        spontaneous=(parent < 0) & ~cases["index"].to_numpy(),
    )
    return Chains(cases.drop(columns="transition"), links)


def _links(run: Run, cases: pd.DataFrame) -> pd.DataFrame:
    """Candidate links of all cases that were not seeded: source, target, probability summed over messages."""
    agent, transition = (cases[name].to_numpy() for name in ("agent", "transition"))
    causes = run.causes_of(transition[~cases["index"].to_numpy()])
    source, share = causes["source"].to_numpy(np.int64), causes["probability"].to_numpy(np.float64)
    onset, most = np.append(cases["onset"].to_numpy(), -1), int(agent.max(initial=0)) + 1  # the last for who never was a case
    # Places in `cases`: tables, for with a million cases a join of data frames takes many seconds.
    target = _lookup(np.where(cases["index"].to_numpy(), -1, transition), causes["transition_id"].to_numpy(np.int64))
    source = _lookup(agent, source)
    known = (source >= 0) & (target >= 0) & (onset[source] < onset[target])
    pair, which = np.unique(agent[source[known]] * most + agent[target[known]], return_inverse=True)
    probability = np.bincount(which, share[known], minlength=len(pair))
    return pd.DataFrame({"source": pair // most, "target": pair % most, "probability": probability})


def _lookup(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place in `keys` (n,) of each of `wanted` (m,), −1 for one that is not there and for negative ones. Shape (m,)."""
    place = np.full(max(int(keys.max(initial=-1)), int(wanted.max(initial=-1))) + 2, -1)
    place[keys[keys >= 0]] = np.flatnonzero(keys >= 0)
    return place[np.maximum(wanted, -1)]


def _generations(onset: NDArray[np.int64], parent: NDArray[np.int64]) -> NDArray[np.int64]:
    """Generation (n,) of each case: one more than its parent's. onset: ascends. parent: place of an earlier case, −1 for none."""
    generation = np.zeros(len(onset), dtype=np.int64)
    for same in np.split(np.arange(len(onset)), np.flatnonzero(np.diff(onset)) + 1):
        above = parent[same]
        generation[same] = np.where(above >= 0, generation[above] + 1, 0)
    return generation


def transmission_tree(run: Run, strain: str | None = None, kind: str = "case") -> nx.DiGraph:
    """The transmission tree as a graph without cycles. A node is an agent that was a case; an edge runs from source to target.

    Nodes have name, onset, confirmed, index, spontaneous, generation, explained; edges have probability and parent (True for each
    case's likeliest source: these edges alone are the tree). Probabilities of edges into a node add up to at most 1; what is
    missing is unexplained. Candidates are not confirmed causes.
    """
    import networkx as nx

    found = chains(run, strain, kind)
    cases, links = found.cases, found.links
    graph = nx.DiGraph()
    names = cases["agent"].map(run.agents.set_index("id")["name"])
    facts = cases[["onset", "confirmed", "index", "spontaneous", "generation", "explained"]].assign(name=names)
    graph.add_nodes_from(zip(cases["agent"].tolist(), facts.to_dict("records"), strict=True))
    likeliest = cases.set_index("agent")["parent"]
    is_parent = links["target"].map(likeliest) == links["source"]
    columns = (links["source"], links["target"], links["probability"], is_parent)
    for source, target, probability, parent in zip(*(column.tolist() for column in columns), strict=True):
        graph.add_edge(source, target, probability=probability, parent=parent)
    return graph
