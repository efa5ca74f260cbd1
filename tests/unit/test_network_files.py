"""Networks from files: GraphML, contacts by step, degrees; and what is refused, in one line."""

import pickle
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from contagium.envs.network import Network, NetworkError, configuration, from_contacts, from_file, from_graphml
from contagium.envs.rng import Streams

STREAMS = Streams(1)
HEAD = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
WEIGHT = '<key id="d0" for="edge" attr.name="weight" attr.type="{}"/>'


def ties(network: Network) -> list[tuple[int, int, float]]:
    return list(zip(network.source.tolist(), network.target.tolist(), network.weight.tolist(), strict=True))


def write(tmp_path: Path, content: str | bytes, name: str = "file") -> str:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def graphml(body: str, direction: str = "directed", kind: str = "double") -> str:
    return f'{HEAD}{WEIGHT.format(kind)}<graph edgedefault="{direction}">{body}</graph></graphml>'


def nodes(*names: str) -> str:
    return "".join(f'<node id="{name}"/>' for name in names)


# GraphML -------------------------------------------------------------------------------------------------------------


def test_what_networkx_writes_is_read_again(tmp_path: Path) -> None:
    graph = nx.karate_club_graph()
    nx.write_graphml(graph, tmp_path / "karate.graphml")
    network = from_graphml(34, STREAMS, str(tmp_path / "karate.graphml"))
    assert ties(network) == ties(Network.from_networkx(graph))
    assert network.symmetric


def test_nodes_with_other_names_are_numbered_in_the_order_of_the_file(tmp_path: Path) -> None:
    edge = '<edge source="Ben" target="Ann"><data key="d0">2.5</data></edge><edge source="1" target="Ben"/>'
    assert ties(from_graphml(3, STREAMS, write(tmp_path, graphml(nodes("Ben", "1", "Ann") + edge)))) == [(1, 0, 1.0), (0, 2, 2.5)]
    ids = graphml(nodes("2", "0", "1") + '<edge source="2" target="0"/>')
    assert ties(from_graphml(3, STREAMS, write(tmp_path, ids))) == [(2, 0, 1.0)]


BOMB = '<?xml version="1.0"?><!DOCTYPE g [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>' + graphml(nodes("&b;"))
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE g SYSTEM "file:///etc/passwd">' + graphml(nodes("0"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, "has a document type declaration"),
        (OUTSIDE, "has a document type declaration"),
        (BOMB.encode("utf-16"), "has a document type declaration"),
        ("", "is not readable GraphML: no element found"),
        ("<graphml>", "is not readable GraphML: no element found"),
        ("source,target\n0,1\n", "is not readable GraphML: syntax error"),
        ("<html/>", "is not readable GraphML"),
        (graphml(nodes("0", "1")), "has 2 nodes, but population.size is 3"),
        (graphml(nodes("0", "1", "2") + '<edge source="0" target="0"/>'), "no agent may hear itself, but agent 0 does"),
        (graphml(nodes("0", "1", "2") + '<edge source="0" target="1"/>' * 2), "edge 0 -> 1 is given twice"),
        (
            graphml(nodes("0", "1", "2") + '<edge source="0" target="1"><data key="d0">-1</data></edge>'),
            "positive and finite, got -1",
        ),
        (
            graphml(nodes("0", "1", "2") + '<edge source="0" target="1"><data key="d0">x</data></edge>'),
            "could not convert .* 'x'",
        ),
        (graphml(nodes("0", "1", "2") + '<edge source="0" target="1"><data key="d9">1</data></edge>'), "is not readable GraphML"),
    ],
)
def test_wrong_graphml_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(NetworkError, match=message) as caught:
        from_graphml(3, STREAMS, path)
    assert str(caught.value).startswith(f"network.path: {path}")
    assert "\n" not in str(caught.value)


def test_graphml_is_not_taken_for_an_edge_list(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="is XML and no CSV; GraphML is read with network=graphml"):
        from_file(2, STREAMS, write(tmp_path, graphml(nodes("0", "1"))))


# Pickles -------------------------------------------------------------------------------------------------------------

READERS: list[Callable[[int, Streams, str], Network]] = [from_file, from_graphml, from_contacts, configuration]


@pytest.mark.parametrize("read", READERS)
def test_pickles_are_refused_by_name_and_by_content(tmp_path: Path, read: Callable[[int, Streams, str], Network]) -> None:
    named = write(tmp_path, "source,target\n", "graph.gpickle.gz")
    with pytest.raises(NetworkError, match="is a pickle by its name: reading one can run anything"):
        read(4, STREAMS, named)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path = write(tmp_path, pickle.dumps(nx.path_graph(4), protocol), "edges.csv")
        with pytest.raises(NetworkError, match="holds a pickle: reading one can run anything"):
            read(4, STREAMS, path)


# Contacts ------------------------------------------------------------------------------------------------------------


def carrying(network: Network, step: int) -> list[tuple[int, int]]:
    tied = network.tied(step)
    assert tied is not None
    return [(s, t) for s, t, _ in np.array(ties(network))[tied].astype(int).tolist()]


def test_contacts_carry_in_their_steps(tmp_path: Path) -> None:
    path = write(tmp_path, "step,source,target\n3,2,1\n0,0,1\n0,3,2\n\n1,0,1\n")
    network = from_contacts(5, STREAMS, path, directed=True)
    assert [carrying(network, step) for step in range(6)] == [[(0, 1), (3, 2)], [(0, 1)], [], [(2, 1)], [], []]
    again = from_contacts(5, STREAMS, path, directed=True, repeat=True)
    assert carrying(again, 4) == carrying(again, 8) == [(0, 1), (3, 2)]
    both = from_contacts(5, STREAMS, path)
    assert carrying(both, 3) == [(2, 1), (1, 2)]
    assert both.symmetric


def test_contacts_have_the_weight_of_their_tie(tmp_path: Path) -> None:
    network = from_contacts(3, STREAMS, write(tmp_path, "step,source,target,weight\n0,0,1,2.5\n1,2,1,0.5\n2,1,0,2.5\n"))
    assert ties(network) == [(1, 0, 2.5), (0, 1, 2.5), (2, 1, 0.5), (1, 2, 0.5)]
    nothing = from_contacts(3, STREAMS, write(tmp_path, "step,source,target\n"), repeat=True)
    assert (len(nothing.source), carrying(nothing, 0) if len(nothing.source) else []) == (0, [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("source,target\n0,1\n", "line 1 must read 'step,source,target', and may go on with 'weight'"),
        ("step,source,target\n-1,0,1\n", "line 2: steps are 0 to 1048575, got -1"),
        ("step,source,target\n99999999,0,1\n", "line 2: steps are 0 to 1048575, got 99999999"),
        ("step,source,target\nx,0,1\n", "line 2: invalid literal .* 'x'"),
        ("step,source,target\n0,0,3\n", "line 2: agent ids are 0 to 2 .* got 3"),
        ("step,source,target\n0,1,1\n", "no agent may hear itself, but agent 1 does|the contact 1 -> 1 .* twice"),
        ("step,source,target\n0,0,1\n0,1,0\n", "line 3: the contact 1 -> 0 at step 0 is given twice"),
        ("step,source,target,weight\n0,0,1,2\n1,0,1,3\n", "line 3: the tie 0 -> 1 had weight 2 before, now 3"),
        ("step,source,target,weight\n0,0,1,0\n", "line 2: weights must be positive and finite, got 0"),
        ("step,source,target\n0,0\n", "line 2: 3 columns expected, got 2"),
    ],
)
def test_wrong_contacts_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(NetworkError, match=message) as caught:
        from_contacts(3, STREAMS, path)
    assert str(caught.value).startswith(f"network.path: {path}")
    assert "\n" not in str(caught.value)


# Degrees -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\n1\n", "has no degree of agent 2"),
        ("1\n1\n1\n1\n", "line 4: agent ids are 0 to 2 .* got 3"),
        ("1\n2\n", "has no degree of agent 2"),
        ("1\n3\n1\n", r"line 2: degrees are 0 to 2 \(population.size=3\), got 3"),
        ("1\n-1\n1\n", "line 2: degrees are 0 to 2 .* got -1"),
        ("1\ntwo\n1\n", "line 2: invalid literal .* 'two'"),
        ("1,1\n1,1\n1,1\n", "line 1: either one degree a line, or the header 'agent,degree' and two columns"),
        ("agent,degree\n0,1\n0,1\n", "line 3: agent 0 is given twice"),
        ("agent,degree\n0,1\n1\n", "line 3: either one degree a line"),
        ("1\n1\n1\n", r"no network without loops and doubled ties has these degrees \(they add up to 3\)"),
        ("2\n2\n0\n", r"no network without loops and doubled ties has these degrees \(they add up to 4\)"),
    ],
)
def test_wrong_degrees_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(NetworkError, match=message) as caught:
        configuration(3, STREAMS, path)
    assert str(caught.value).startswith(f"network.path: {path}")
    assert "\n" not in str(caught.value)
