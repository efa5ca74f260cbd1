"""What other parts of the analysis add to the page: sections with tables, curves and figures."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contagium.sim.analysis.figures.picture import Picture
from contagium.sim.analysis.tables import Table, html_brief
from contagium.sim.analysis.text import html_text, visible


@dataclass(frozen=True)
class Line:
    """A line of a curve, and where it is known its interval; a value for each step, None or NaN where there is none."""

    name: str
    values: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None


@dataclass(frozen=True)
class Curve:
    """Lines over steps that people can read values off. unit: of the values. says: one sentence of plain words."""

    title: str
    says: str
    unit: str
    steps: Sequence[int]
    lines: Sequence[Line]


@dataclass(frozen=True)
class Section:
    """One question and what was found: tables, curves and figures under a title, with notes below. folded: shut at first.

    Secondary tables are folded below all else, and with them all figures but the first `shown`.
    """

    title: str
    tables: Sequence[Table] = ()
    figures: Sequence[Picture] = ()
    notes: Sequence[str] = ()
    curves: Sequence[Curve] = ()
    folded: bool = False
    shown: int | None = None


def html_section(section: Section, first_curve: int = 0) -> str:
    """What stands under a section's title, as HTML. first_curve: the number of its first curve among all of the page."""
    first = [table for table in section.tables if not table.secondary]
    return (
        "".join(f'<p class="soft">{html_text(note)}</p>' for note in section.notes[:1] if not section.tables)
        + "".join(html_brief(table) for table in first)
        + "".join(f'<div class="viewer" data-curve="{first_curve + k}"></div>' for k in range(len(section.curves)))
        + "".join(html_figure(picture) for picture in section.figures[: section.shown])
        + "".join(f'<p class="soft">{html_text(note)}</p>' for note in section.notes[0 if section.tables else 1 :])
        + _more(section)
    )


def _more(section: Section) -> str:
    """What few people ask for, folded."""
    tables = [table for table in section.tables if table.secondary]
    content = "".join(html_brief(table) for table in tables) + "".join(
        map(html_figure, () if section.shown is None else section.figures[section.shown :])
    )
    names = html_text("; ".join(table.title for table in tables) or "figures")
    return f'<details class="more"><summary>More: {names}</summary>{content}</details>' if content else ""


def part(title: str, content: str, folded: bool = False) -> str:
    """A part of the page that folds, and that the table of contents leads to."""
    head = f'<summary><h2 id="{anchor(title)}">{html_text(title)}</h2></summary>'
    return f'<details class="part"{"" if folded else " open"}>{head}\n<div class="wide">{content}</div></details>'


def anchor(title: str) -> str:
    """The name by which links find a part."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def html_figure(picture: Picture) -> str:
    data, caption = base64.b64encode(picture.svg).decode(), html_text(picture.caption)
    return f'<figure><img alt="{caption}" src="data:image/svg+xml;base64,{data}"><figcaption>{caption}</figcaption></figure>'


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":")


def told(curve: Curve) -> dict[str, Any]:
    """A curve as the viewer draws it."""
    lines = [
        {
            "name": visible(line.name),
            "colour": COLOURS[k % len(COLOURS)],
            "dash": DASHES[k % len(DASHES)],
            "y": known(line.values),
            **({} if line.low is None or line.high is None else {"low": known(line.low), "high": known(line.high)}),
        }
        for k, line in enumerate(curve.lines)
    ]
    names = {"title": visible(curve.title), "says": visible(curve.says), "unit": visible(curve.unit)}
    return names | {"x": [int(step) for step in curve.steps], "lines": lines}


def known(values: Sequence[float | None]) -> list[float | None]:
    """Values for the viewer; one that is not a finite number is none."""
    return [None if value is None or not math.isfinite(value) else round(float(value), 6) for value in values]
