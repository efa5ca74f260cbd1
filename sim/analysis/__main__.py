"""Make the outputs of a run again from its log: `python -m contagium.sim.analysis RUN_DIR…`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from contagium.sim.analysis.outputs import write_outputs
from contagium.sim.log import LogError


def main() -> int:
    """Write summary.json, transcript.md, report.html and figures of each run; status 2 if one of them has no readable log."""
    parser = argparse.ArgumentParser(
        prog="python -m contagium.sim.analysis", description="Make a run's outputs again from its log."
    )
    parser.add_argument("run", nargs="+", type=Path, help="directory of a run, finished, interrupted or killed")
    status = 0
    for directory in parser.parse_args().run:
        try:
            write_outputs(directory)
            print(directory / "report.html")
        except (LogError, OSError) as error:
            print(f"contagium: {error}", file=sys.stderr)
            status = 2
    return status


if __name__ == "__main__":
    sys.exit(main())
