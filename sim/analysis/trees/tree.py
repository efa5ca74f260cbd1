"""Who infected whom: candidate links between cases, and the transmission tree they make."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.agents.policy import name_of
from contagium.sim.analysis.kept import kept
from contagium.sim.analysis.places import places
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

    @cached_property
    def ends(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places in `cases` of the source and of the target of each link."""
        agent = self.cases["agent"].to_numpy(np.int64)
        source, target = (places(agent, self.links[name].to_numpy(np.int64)) for name in ("source", "target"))
        return source, target


@kept
def chains(run: Run, strain: str | None = None, kind: str = "case") -> Chains:
    """Cases with their likeliest parents, and all candidate links.

    A link needs a source whose onset was before its target's, whenever they were confirmed: probability given to anyone else (an
    agent that shows some of the persona but never was a case) stays unexplained. A case with no link and no seeding is
    spontaneous: a root of generation 0.
    """
    cases = onsets(run, strain, kind)
    agent, most = cases["agent"].to_numpy(), int(cases["agent"].max() if len(cases) else 0) + 1
    source, target, _, share = _known(run, cases)
    pair, which = np.unique(agent[source] * most + agent[target], return_inverse=True)
    probability = np.bincount(which, share, minlength=len(pair))
    links = pd.DataFrame({"source": pair // most, "target": pair % most, "probability": probability})
    return grown(cases.drop(columns="transition"), links)


def grown(cases: pd.DataFrame, links: pd.DataFrame) -> Chains:
    """The tree that candidate links make of cases. cases: by onset; agent, onset, confirmed, index. links: as in `Chains`."""
    source, target, share = (links[name].to_numpy() for name in ("source", "target", "probability"))
    agent = cases["agent"].to_numpy()
    row = places(agent, target)
    parent, probability = np.full(len(cases), -1), np.zeros(len(cases))
    # Later rows overwrite earlier ones: the likeliest comes last, of equals the source with the smallest number.
    order = np.lexsort((-source, share, row))
    parent[row[order]], probability[row[order]] = source[order], share[order]
    cases = cases.assign(
        parent=parent,
        probability=probability,
        explained=np.bincount(row, share, minlength=len(cases)),
        generation=generations(cases["onset"].to_numpy(), places(agent, parent)),
        spontaneous=(parent < 0) & ~cases["index"].to_numpy(),
    )
    return Chains(cases, links)


def candidates(run: Run, strain: str | None = None, kind: str = "case") -> pd.DataFrame:
    """The messages behind the links of `chains`, each a candidate cause of a case: source, target, message, probability."""
    cases = onsets(run, strain, kind)
    agent = cases["agent"].to_numpy()
    source, target, message, share = _known(run, cases)
    return pd.DataFrame({"source": agent[source], "target": agent[target], "message": message, "probability": share})


def _known(run: Run, cases: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Candidate causes of cases that were not seeded: places in `cases` of source and target, message, probability."""
    agent, transition = (cases[name].to_numpy() for name in ("agent", "transition"))
    causes = run.causes_of(transition[~cases["index"].to_numpy()])
    onset = np.append(cases["onset"].to_numpy(), -1)  # the last for who never was a case
    # Places in `cases`: tables, for with a million cases a join of data frames takes many seconds.
    target = places(np.where(cases["index"].to_numpy(), -1, transition), causes["transition_id"].to_numpy(np.int64))
    source = places(agent, causes["source"].to_numpy(np.int64))
    known = (source >= 0) & (target >= 0) & (onset[source] < onset[target])
    message, share = causes["message"].to_numpy(np.int64), causes["probability"].to_numpy(np.float64)
    return source[known], target[known], message[known], share[known]


def cohorts(onset: NDArray[np.int64]) -> list[slice]:
    """The cases of each onset, first to last. onset: (n,), ascends."""
    ends = [0, *(np.flatnonzero(np.diff(onset)) + 1).tolist(), len(onset)]
    return [slice(a, b) for a, b in pairwise(ends)]


def generations(onset: NDArray[np.int64], parent: NDArray[np.integer]) -> NDArray[np.int64]:
    """Generation of each case of each tree, one more than its parent's; shape of `parent`.

    onset: (n,), ascends. parent: (…, n), place of an earlier case, −1 for none.
    """
    generation = np.zeros(parent.shape, dtype=np.int64)
    for same in cohorts(onset):
        above = parent[..., same]
        generation[..., same] = np.where(above >= 0, np.take_along_axis(generation, np.maximum(above, 0), axis=-1) + 1, 0)
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
    named = dict(zip(run.agents["id"].tolist(), run.agents["name"].tolist(), strict=True))
    names = [named.get(agent, name_of(agent)) for agent in cases["agent"].tolist()]
    facts = cases[["onset", "confirmed", "index", "spontaneous", "generation", "explained"]].assign(name=names)
    graph.add_nodes_from(zip(cases["agent"].tolist(), facts.to_dict("records"), strict=True))
    likeliest = cases.set_index("agent")["parent"]
    is_parent = links["target"].map(likeliest) == links["source"]
    columns = (links["source"], links["target"], links["probability"], is_parent)
    for source, target, probability, parent in zip(*(column.tolist() for column in columns), strict=True):
        graph.add_edge(source, target, probability=probability, parent=parent)
    return graph


def from_graph(graph: nx.DiGraph) -> Chains:
    """`Chains` of a graph like that of `transmission_tree`, whoever made it: nodes are whole numbers with an `onset` step.

    Optional: `confirmed` (default the onset) and `index` (default False) of nodes, `probability` (default 1) of edges.
    ValueError: a source whose onset is not before its target's, or probabilities that are none or add up to more than 1.
    """
    nodes = sorted(graph.nodes(data=True), key=lambda node: (node[1]["onset"], node[0]))
    facts = [(int(n), int(f["onset"]), int(f.get("confirmed", f["onset"])), bool(f.get("index", False))) for n, f in nodes]
    edges = sorted((int(a), int(b), float(f.get("probability", 1.0))) for a, b, f in graph.edges(data=True))
    onset = {agent: step for agent, step, _, _ in facts}
    for source, target, probability in edges:
        if onset[source] >= onset[target]:
            raise ValueError(f"{source} must have its onset before its target {target}, got {onset[source]} and {onset[target]}")
        if not 0 <= probability <= 1:
            raise ValueError(f"the probability of {source} → {target} must be in [0, 1], got {probability}")
    cases = pd.DataFrame(facts, columns=["agent", "onset", "confirmed", "index"]).astype({"index": bool})
    links = pd.DataFrame(edges, columns=["source", "target", "probability"]).astype({"probability": np.float64})
    found = grown(cases, links.astype({"source": np.int64, "target": np.int64}))
    if len(over := found.cases[found.cases["explained"] > 1 + 1e-9]):
        agent, total = int(over["agent"].iloc[0]), float(over["explained"].iloc[0])
        raise ValueError(f"the probabilities of the sources of {agent} must add up to at most 1, got {total}")
    return found
