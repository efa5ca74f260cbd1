"""Everything a run leaves for people: summary.json, transcript.md, report.html and the figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contagium.sim.files import put
from contagium.sim.log import open_run
from contagium.sim.soundness import must_be_sound


def write_outputs(run_dir: str | Path) -> dict[str, Any]:
    """Analyse the run in `run_dir`, finished or not, write all outputs beside its log and return the content of summary.json.

    Nothing is written before all is made; each file is written aside and then put in place, so that none is ever half there.
    LogError: there is no readable run.
    """
    # Drawing and statistics are loaded only now, so that a run starts without them.
    from contagium.sim.analysis.figures.picture import book
    from contagium.sim.analysis.figures.run import draw
    from contagium.sim.analysis.findings import find
    from contagium.sim.analysis.report.chapters import sections
    from contagium.sim.analysis.report.page import report
    from contagium.sim.analysis.report.transcript import transcript
    from contagium.sim.analysis.spread.epidemic import compartment_curves
    from contagium.sim.analysis.study import study
    from contagium.sim.analysis.summary import summarise

    directory, run = Path(run_dir), open_run(run_dir)
    try:
        must_be_sound(run)
        found = find(run)
        more = study(run, found)
        summary = summarise(run, found, more)
        figures = draw(found, {name: compartment_curves(run, name) for name in found.strains})
        chapters = sections(more)
        every = [*figures, *(figure for chapter in chapters for figure in chapter.figures)]
        page = report(run, found, summary, figures, chapters, more.confirmed)
        files = {
            **{f"figures/{figure.name}.{kind}": getattr(figure, kind) for figure in every for kind in ("png", "svg")},
            "figures/figures.pdf": book(every),
            "transcript.md": transcript(run, found).encode(),
            "report.html": page.encode(),
            "summary.json": (json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode(),
        }
        (directory / "figures").mkdir(exist_ok=True)
        for name, content in files.items():
            put(directory / name, content)
    finally:
        run.close()
    return summary
