"""How people read what was found: tables with a sentence or two each, in a run's report and on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace

from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.text import html_text, visible
from contagium.sim.observer.agreement import Measured


@dataclass(frozen=True)
class Table:
    """A table and the sentences that say what it shows, how to read it and what it cannot tell.

    secondary: what few people ask for; a page folds it.
    """

    title: str
    says: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    secondary: bool = False


class Reason(str):
    """A cell that says why there is no number."""


class Value(str):
    """A cell with an estimate."""


def number(of: Estimate | Measured, form: str = "z.2f") -> str:
    """A number with its interval, or why there is none."""
    if of.value is None:
        return Reason(of.reason)
    if of.low is None or of.high is None:
        return Value(f"{of.value:{form}}, {of.reason}" if of.reason else f"{of.value:{form}}")
    return Value(f"{of.value:{form}} ({of.low:{form}} to {of.high:{form}})")


def counted(n: int, one: str) -> str:
    """ "1 case", "2 cases"."""
    return f"{n:,} {one}" if n == 1 else f"{n:,} {one}s"


def p_value(p: float | None) -> str:
    """A p-value; nothing where there is none."""
    return "" if p is None else f"{p:.3f}"


def heading(title: str) -> str:
    """A title before the sentences that follow it."""
    return title if title.endswith(("?", "!", ".")) else f"{title}."


def brief(table: Table) -> Table | str:
    """The table with rows that share a reason, and all but their names, as one; a sentence in place of one without any number."""
    if table.rows and all(_reason(row) and not any(isinstance(cell, Value) for cell in row) for row in table.rows):
        reasons: dict[str, list[str]] = {}
        for row in table.rows:
            reasons.setdefault(_reason(row) or "", []).append(row[0])
        if len(reasons) == 1:
            return f"Nothing can be said ({next(iter(reasons))})."
        told = (f"{'; '.join(names)}: {reason}." for reason, names in reasons.items())
        return " ".join(("Nothing can be said.", *(one[:1].upper() + one[1:] for one in told)))
    rows: dict[tuple[str, ...], list[str]] = {}
    for k, row in enumerate(table.rows):
        rows.setdefault(row[1:] if _reason(row[1:]) else (str(k), *row), []).append(row[0])
    merged = tuple(("; ".join(names), *key[-len(table.head) + 1 :]) for key, names in rows.items())
    return replace(table, rows=merged)


def _reason(row: tuple[str, ...]) -> str | None:
    return next((cell for cell in row if isinstance(cell, Reason)), None)


LONG = 30
"""Letters from which on a cell keeps a width in which it can be read."""


def html_table(table: Table) -> str:
    """A table below its sentences, which keep to the width of the page where the table scrolls; everything in it is escaped."""
    head = "".join(f"<th>{html_text(name)}</th>" for name in table.head)
    rows = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in table.rows)
    caption = f"<figcaption><b>{html_text(heading(table.title))}</b> {html_text(table.says)}</figcaption>"
    return f'<figure>{caption}<div class="wide"><table><tr>{head}</tr>{rows}</table></div></figure>'


def _cell(text: str) -> str:
    return f'<td class="long">{html_text(text)}</td>' if len(text) > LONG else f"<td>{html_text(text)}</td>"


def html_brief(table: Table) -> str:
    """A table for those who want to know what was found, without what could not be."""
    told = brief(table)
    if isinstance(told, Table):
        return html_table(told)
    return f'<p class="soft"><b>{html_text(heading(table.title))}</b> {html_text(told)}</p>'


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
