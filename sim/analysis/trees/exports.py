"""Transmission trees for other programs: GraphML with all candidate links, Newick with the likeliest tree of each root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contagium.sim.analysis.text import visible

if TYPE_CHECKING:
    import networkx as nx


def graphml(graph: nx.DiGraph) -> bytes:
    """The graph of `transmission_tree` as a GraphML file; `networkx.read_graphml(file, node_type=int)` gives it back.

    Names are escaped, and characters that no XML file may hold stand as marks.
    """
    import networkx as nx

    shown = graph.copy()
    for _, facts in shown.nodes(data=True):
        facts["name"] = visible(str(facts["name"]))
    return ("\n".join(nx.generate_graphml(shown, encoding="utf-8")) + "\n").encode()


def newick(graph: nx.DiGraph) -> list[str]:
    """The likeliest trees of the graph of `transmission_tree`, one string for each root; roots and children by onset.

    A node is labelled with its agent and name, '3 Ada'; the length of a branch is the steps between the two onsets. Trees of
    transmission have cases at their forks, so inner nodes are labelled too. Labels are quoted, quotes in them doubled.
    """
    onset = dict(graph.nodes(data="onset"))
    label = {node: _label(f"{node} {name}") for node, name in graph.nodes(data="name")}
    below: dict[int, list[int]] = {node: [] for node in graph}
    roots = set(graph)
    kept = [edge[:2] for edge in graph.edges(data="parent") if edge[2]]
    for source, target in sorted(kept, key=lambda edge: (onset[edge[1]], edge[1])):
        below[source].append(target)
        roots.discard(target)
        label[target] += f":{onset[target] - onset[source]}"
    return [_one(label, below, root) for root in sorted(roots, key=lambda node: (onset[node], node))]


def _one(label: dict[int, str], below: dict[int, list[int]], root: int) -> str:
    """The tree of one root, without recursion: a chain of cases may be longer than Python's stack."""
    parts: list[str] = []
    waiting: list[int | str] = [root]
    while waiting:
        at = waiting.pop()
        if isinstance(at, str):
            parts.append(at)
        elif children := below[at]:
            parts.append("(")
            waiting.append(f"){label[at]}")
            for place, child in enumerate(reversed(children)):
                waiting.extend([","] if place else [])
                waiting.append(child)
        else:
            parts.append(label[at])
    return "".join(parts) + ";"


def _label(name: str) -> str:
    line = visible(name).replace("\n", " ").replace("\t", " ").replace("'", "''")
    return f"'{line}'"
