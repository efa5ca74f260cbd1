"""Who infected whom: candidate links between cases, and the transmission tree they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from contagium.sim.analysis.epidemic import onsets
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
    best = links.sort_values(["target", "probability", "source"], ascending=[True, False, True]).drop_duplicates("target")
    best = best.set_index("target")
    agent = cases["agent"]
    parent = agent.map(best["source"]).fillna(-1).astype(np.int64)
    explained = agent.map(links.groupby("target")["probability"].sum()).fillna(0.0)
    cases = cases.assign(
        parent=parent,
        probability=agent.map(best["probability"]).fillna(0.0).astype(float),
        explained=explained.astype(float),
        generation=_generations(agent.tolist(), parent.tolist()),
        spontaneous=(parent < 0) & ~cases["index"],
    )
    return Chains(cases.drop(columns="transition"), links)


def _links(run: Run, cases: pd.DataFrame) -> pd.DataFrame:
    """Candidate links of all cases that were not seeded: source, target, probability summed over messages."""
    caught = cases[~cases["index"]]
    causes = run.causes[["transition_id", "source", "probability"]]
    target = causes["transition_id"].map(caught.set_index("transition")["agent"])
    links = causes.assign(target=target)[target.notna()].astype({"target": np.int64})
    onset = cases.set_index("agent")["onset"]
    # An unknown onset compares as NaN and drops out.
    links = links[links["source"].map(onset) < links["target"].map(onset)]
    return links.groupby(["source", "target"], as_index=False)["probability"].sum()


def _generations(agents: list[int], parents: list[int]) -> list[int]:
    """Generation of each case: one more than its parent's. A parent always comes before its children."""
    generation = {-1: -1}
    for agent, parent in zip(agents, parents, strict=True):
        generation[agent] = generation[parent] + 1
    return [generation[agent] for agent in agents]


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
