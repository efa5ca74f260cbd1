"""`python -m contagium.sim.analysis`: make the outputs of runs again from their logs, or ask more of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from contagium.sim.analysis.outputs import write_outputs
from contagium.sim.log import LogError

COMMANDS = {
    "compare": ("arms.command", "tables and figures of several arms, with intervals, tests and advice on sample size"),
    "fit": ("fit.command", "fit a contagion model to runs, check it on others, and run it for more agents"),
    "tree": ("trees.command", "export the transmission tree as GraphML or Newick"),
}
"""Word → the module whose `main` does it, and what it does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the first word says; without one write the outputs of each run again. Status 2 if a log cannot be read."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in COMMANDS:
        status: int = import_module(f"contagium.sim.analysis.{COMMANDS[given[0]][0]}").main(given[1:])
        return status
    more = "\n".join(f"  {word:<9}{does}" for word, (_, does) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m contagium.sim.analysis",
        description="Make a run's outputs again from its log: summary.json, transcript.md, report.html and figures.",
        epilog=f"more, each with a --help of its own (python -m contagium.sim.analysis compare --help):\n{more}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "run", nargs="+", type=Path, metavar="RUN_DIR", help="directory of a run, finished, interrupted or killed"
    )
    status = 0
    for directory in parser.parse_args(given).run:
        try:
            write_outputs(directory)
            print(directory / "report.html")
        except (LogError, OSError) as error:
            print(f"contagium: {error}", file=sys.stderr)
            status = 2
    return status


if __name__ == "__main__":
    sys.exit(main())
