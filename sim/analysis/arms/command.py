"""Compare any set of runs: `python -m contagium.sim.analysis compare DIR…`."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contagium.sim.analysis.arms.compare import Comparison, compare
from contagium.sim.analysis.arms.runs import arms_of, found_in, read
from contagium.sim.analysis.arms.tables import tables
from contagium.sim.analysis.spread.epidemic import KINDS
from contagium.sim.analysis.tables import Table, html_table, show
from contagium.sim.analysis.text import html_text, visible
from contagium.sim.files import put
from contagium.sim.log import LogError

if TYPE_CHECKING:
    from contagium.sim.analysis.figures.picture import Picture


def main(argv: list[str] | None = None) -> int:
    """The command; status 2 if there is no run to compare, or no such arm, setting or outcome."""
    parser = argparse.ArgumentParser(
        prog="python -m contagium.sim.analysis compare",
        description="Outcomes of runs by arm, with intervals over replicates, differences, dose-response and sample sizes.",
        epilog="Runs that differ in their seed alone are replicates of one arm; docs/comparing.md.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="DIR", help="a run, or a directory with runs below it")
    parser.add_argument(
        "--by", nargs="+", default=[], metavar="KEY", help="settings that make the arms, e.g. model.recovery_rate"
    )
    parser.add_argument(
        "--outcome", nargs="+", default=[], metavar="NAME", help="outcomes to compare; * and ? stand for any letters"
    )
    parser.add_argument(
        "--baseline", metavar="ARM", help="the arm to compare with, by its name or a part of it; default the first"
    )
    parser.add_argument("--strain", help="the strain whose cases count; default the first of each run")
    parser.add_argument("--kind", choices=KINDS, default="case", help="cases of the observer, or the agents' own truth")
    parser.add_argument("--unpaired", action="store_true", help="do not pair runs of the same seed")
    parser.add_argument("--unfinished", action="store_true", help="take runs that were cut short as if they were whole")
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write comparison.json, comparison.html and figures there")
    given = parser.parse_args(argv)
    try:
        found = _compared(given)
        if given.output is not None:
            write(found, given.output)
    except (LogError, OSError) as error:
        print(f"contagium: {visible(str(error))}", file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(as_json(found), indent=2, ensure_ascii=False, allow_nan=False))
        return 0
    show(tables(found), found.notes, f"{sum(len(arm.runs) for arm in found.arms)} runs in {len(found.arms)} arms")
    if given.output is not None:
        print(given.output / "comparison.html")
    return 0


def _compared(given: argparse.Namespace) -> Comparison:
    runs, notes = read(found_in(given.runs), given.strain, given.kind, given.unfinished)
    if not runs:
        raise LogError("; ".join(notes))
    arms, more = arms_of(runs, given.by)
    return compare(arms, given.outcome, given.baseline, [*notes, *more], not given.unpaired)


def write(found: Comparison, output: Path, before: Sequence[Table] = ()) -> None:
    """comparison.json, comparison.html and figures/, each put in place whole. before: tables that stand first on the page."""
    from contagium.sim.analysis.figures.arms import draw_arms
    from contagium.sim.analysis.figures.picture import book

    (output / "figures").mkdir(parents=True, exist_ok=True)
    pictures = draw_arms(found)
    for picture in pictures:
        put(output / "figures" / f"{picture.name}.png", picture.png)
        put(output / "figures" / f"{picture.name}.svg", picture.svg)
    put(output / "figures" / "comparison.pdf", book(pictures))
    told = json.dumps(as_json(found), indent=2, ensure_ascii=False, allow_nan=False)
    put(output / "comparison.json", f"{told}\n".encode())
    put(output / "comparison.html", page(found, pictures, before).encode())


def page(found: Comparison, pictures: Sequence[Picture], before: Sequence[Table] = ()) -> str:
    """A page that loads nothing and runs nothing; all that runs say of themselves is escaped."""
    from contagium.sim.analysis.report.page import CONTENT_POLICY, STYLE

    named = f"{before[0].title}: " if before else ""
    title = f"{named}{len(found.arms)} arm{'s' if len(found.arms) > 1 else ''}, {sum(len(arm.runs) for arm in found.arms)} runs"
    notes = "".join(f'<p class="warn">{html_text(note)}</p>' for note in found.notes)
    figures = "".join(
        f'<figure><img alt="{html_text(p.caption)}" src="data:image/png;base64,{base64.b64encode(p.png).decode()}">'
        f"<figcaption>{html_text(p.caption)}</figcaption></figure>"
        for p in pictures
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{html_text(CONTENT_POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html_text(title)}</title><style>{STYLE}</style></head>\n<body>\n<h1>{html_text(title)}</h1>\n{notes}\n"
        f"{''.join(map(html_table, (*before, *tables(found))))}\n{figures}\n</body></html>\n"
    )


def as_json(found: Comparison) -> dict[str, Any]:
    """All numbers, as plain JSON; docs/comparing.md documents the keys."""
    return {
        "baseline": found.baseline,
        "arms": [
            {
                "name": a.name,
                "settings": a.settings,
                "runs": [{"path": str(r.path), "seed": r.seed, "status": r.status} for r in a.runs],
            }
            for a in found.arms
        ],
        "outcomes": [
            {"outcome": c.outcome.name, "arm": c.arm, "values": c.values.tolist(), "seeds": list(c.seeds), "without": c.without}
            | {"estimate": vars(c.estimate)}
            for c in found.cells.values()
        ],
        "differences": [
            {"outcome": d.outcome.name, "arm": d.arm, "paired": d.paired, "estimate": vars(d.estimate)}
            | {"chance": vars(d.chance) if d.chance else None, "holm": d.holm, "q": d.q}
            for d in found.differences
        ],
        "doses": [
            {"outcome": d.outcome, "setting": d.setting, "within": d.within, "best": d.best, "aicc": d.curves}
            | {"slope": vars(d.slope), "half": vars(d.half), "chance": vars(d.chance), "runs": len(d.doses)}
            for d in found.doses
        ],
        "advice": [vars(one) for one in found.advice],
        "notes": list(found.notes),
    }
