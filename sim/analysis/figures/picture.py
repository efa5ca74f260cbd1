"""A finished figure in the formats that pages, slides and papers take: SVG, PNG with 200 dots per inch, and PDF."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

import matplotlib
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from contagium.sim.analysis.figures.style import STYLE

WITHOUT_TIME: dict[str, dict[str, str | None]] = {"png": {"Software": None}, "svg": {"Date": None}}
"""By format, what would make two files of the same figure differ."""


@dataclass(frozen=True)
class Picture:
    """A finished figure. name: of its files. caption: one or two sentences of plain words."""

    name: str
    caption: str
    png: bytes
    svg: bytes
    figure: Figure = field(repr=False, compare=False)

    @property
    def pdf(self) -> bytes:
        """The picture as PDF, made when it is asked for: it takes longer than the others together."""
        return book([self])


def picture(name: str, size: tuple[float, float], plot: Callable[[Figure], None], caption: str) -> Picture:
    """What `plot` draws on a figure of `size`, width and height in inches; the same drawing gives the same bytes."""
    with _styled():
        figure = Figure(figsize=size, layout="constrained")
        plot(figure)
        return Picture(name, caption, **rendered(figure), figure=figure)


def _styled() -> AbstractContextManager[object]:
    stack = ExitStack()
    stack.enter_context(matplotlib.rc_context(STYLE))
    stack.enter_context(warnings.catch_warnings())
    # A name may hold characters the font lacks; they show as boxes.
    warnings.filterwarnings("ignore", message="Glyph")
    return stack


def rendered(figure: Figure) -> dict[str, bytes]:
    """The figure as PNG and SVG, by suffix."""
    files = {}
    for suffix, metadata in WITHOUT_TIME.items():
        file = io.BytesIO()
        figure.savefig(file, format=suffix, metadata=metadata)
        # The layout is done: doing it again would take as long as drawing.
        figure.set_layout_engine("none")
        files[suffix] = file.getvalue()
    return files


def book(pictures: Iterable[Picture]) -> bytes:
    """All pictures as one PDF, each on a page of its own size; fonts are embedded once, which takes most of the time."""
    file = io.BytesIO()
    with _styled(), PdfPages(file, metadata={"CreationDate": None}) as pages:
        for one in pictures:
            pages.savefig(one.figure)
    return file.getvalue()
