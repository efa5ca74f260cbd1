"""How people read what was found: tables with a sentence or two each, in a run's report and on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.text import html_text, visible
from contagium.sim.observer.agreement import Measured


@dataclass(frozen=True)
class Table:
    """A table and the sentences that say what it shows, how to read it and what it cannot tell."""

    title: str
    says: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def number(of: Estimate | Measured, form: str = "z.2f") -> str:
    """A number with its interval, or why there is none."""
    if of.value is None:
        return str(of.reason)
    if of.low is None or of.high is None:
        return f"{of.value:{form}}, {of.reason}" if of.reason else f"{of.value:{form}}"
    return f"{of.value:{form}} ({of.low:{form}} to {of.high:{form}})"


def html_table(table: Table) -> str:
    """A table with its sentences as its caption; everything in it is escaped."""
    head = "".join(f"<th>{html_text(name)}</th>" for name in table.head)
    rows = "".join("<tr>" + "".join(f"<td>{html_text(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    caption = f"<caption><b>{html_text(table.title)}.</b> {html_text(table.says)}</caption>"
    return f"<figure><table>{caption}<tr>{head}</tr>{rows}</table></figure>"


def show(told: Iterable[Table], notes: Iterable[str], title: str) -> None:
    """Print tables to the terminal."""
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(Text(visible(title), style="bold"))
    for table in told:
        grid = Grid(title=Text(f"\n{visible(table.title)}"), title_justify="left")
        for name in table.head:
            grid.add_column(Text(visible(name)))
        for row in table.rows:
            grid.add_row(*(Text(visible(cell)) for cell in row))
        console.print(grid)
        console.print(Text(visible(table.says)))
    for note in notes:
        console.print(Text(f"\n{visible(note)}"))
