"""Export a run's transmission tree: `python -m contagium.sim.analysis tree RUN_DIR --format newick --output FILE`."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

from contagium.sim.analysis.spread.epidemic import KINDS
from contagium.sim.analysis.trees.exports import graphml, newick
from contagium.sim.analysis.trees.tree import transmission_tree
from contagium.sim.files import put
from contagium.sim.log import LogError, open_run
from contagium.sim.soundness import must_be_sound


def main(argv: list[str]) -> int:
    """Write the tree of one run; status 2 if its log cannot be read or the file not be written."""
    parser = argparse.ArgumentParser(
        prog="python -m contagium.sim.analysis tree",
        description="Export who may have infected whom. GraphML holds all candidate links with their probabilities, "
        "Newick the likeliest source of each case, one tree a line for each root, branch lengths in steps.",
    )
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="directory of a run, finished, interrupted or killed")
    parser.add_argument("--format", choices=("graphml", "newick"), default="graphml")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument("--strain", help="default: the run's first")
    parser.add_argument("--kind", choices=KINDS, default="case", help="case: as observed; latent: the agents' own truth")
    given = parser.parse_args(argv)
    try:
        with closing(open_run(given.run)) as run:
            must_be_sound(run)
            graph = transmission_tree(run, given.strain, given.kind)
        told = graphml(graph) if given.format == "graphml" else "".join(f"{line}\n" for line in newick(graph)).encode()
        if given.output is None:
            sys.stdout.buffer.write(told)
        else:
            put(given.output, told)
    except (LogError, OSError) as error:
        print(f"contagium: {error}", file=sys.stderr)
        return 2
    roots = sum(1 for _, into in graph.in_degree() if not into)
    print(f"{len(graph)} cases, {graph.number_of_edges()} candidate links, {roots} without a source", file=sys.stderr)
    return 0
