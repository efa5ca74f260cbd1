"""report.html: one page that says in plain words what spread, shows it, and stands alone without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contagium.sim.analysis import tallies
from contagium.sim.analysis.emotion.gaps import gap_rows
from contagium.sim.analysis.figures.picture import Picture
from contagium.sim.analysis.findings import Findings
from contagium.sim.analysis.report import parts
from contagium.sim.analysis.report.assets import packed, script, script_source, style
from contagium.sim.analysis.report.reliability import reliability_section
from contagium.sim.analysis.report.sections import Section, anchor, html_figure, html_section, part
from contagium.sim.analysis.report.viewer import viewer_data
from contagium.sim.analysis.tables import html_brief
from contagium.sim.analysis.text import html_text
from contagium.sim.log import Run

WELL_EXPLAINED = 0.9
"""Share of causes that candidate sources explain, under which the page says that the reproduction number is biased low."""

CONTENT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Of a page without a script: it may show images it holds and load nothing, from nowhere."""

STYLE = style()

GAPS = (
    '<p class="soft">What an agent showed on one channel less what it showed on another in the same step, on average. '
    "Suppressed: weaker on the first than on the second; play-acted: stronger. What two rulers read can only be compared "
    "between runs.</p>"
)

Part = tuple[str, str, bool]
"""Of the page: title, HTML, whether it is folded at first."""


def report(
    run: Run,
    found: Findings,
    summary: dict[str, Any],
    figures: Sequence[Picture],
    sections: Sequence[Section] = (),
    confirmed: Mapping[tuple[str, int, int], str] | None = None,
) -> str:
    """The page as HTML. All that models, files or users wrote is escaped; the page may load nothing and run one script, its own.

    sections: what other parts of the analysis found. confirmed: (strain, source, target) → what a counterfactual test of that
    edge found, in words.
    """
    title = html_text(f"{run.meta['name']}: {found.strain}")
    told = list(_parts(run, found, summary, figures, sections))
    contents = "".join(f'<li><a href="#{anchor(name)}">{html_text(name)}</a></li>' for name, _, _ in told)
    curves = [curve for section in sections for curve in section.curves]
    body = (
        f"<h1>{title}</h1>\n{_headline(run, found, summary)}{_tiles(found)}\n"
        f'<nav aria-label="Contents"><ul>{contents}</ul></nav>\n' + "\n".join(part(*one) for one in told)
    )
    return shell(title, body, viewer_data(run, found, curves, confirmed))


def shell(title: str, body: str, data: dict[str, Any]) -> str:
    """A page that runs the viewer, and nothing else, on `data`. title and body are HTML."""
    policy = html_text(f"{CONTENT_POLICY}; script-src {script_source()}")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body>\n{body}\n"
        f'<script type="application/octet-stream" id="data">{packed(data)}</script>\n'
        f"<script>{script()}</script>\n</body></html>\n"
    )


def _parts(
    run: Run, found: Findings, summary: dict[str, Any], figures: Sequence[Picture], sections: Sequence[Section]
) -> Iterator[Part]:
    yield "Step by step", VIEWER, False
    yield "Key numbers", parts.numbers(found, summary), False
    if len(found.strains) > 1:
        yield "Everything that was followed", parts.followed(run, found), False
    if run.meta.get("choices") and found.steps:
        yield "What was chosen", parts.choices(run, found), False
    if did := tallies.tables(run):
        yield "What was done", "".join(map(html_brief, did)), False
    if summary["adoption"]["own_words"] or summary["adoption"]["copied"]:
        yield "How it was taken up", parts.adoption(found, summary), False
    curve = 0
    for section in sections:
        yield section.title, html_section(section, curve), section.folded
        curve += len(section.curves)
    yield "What showed it most, index cases aside", parts.most_shown(run, found), False
    yield "What spread, looked for without knowing it", parts.blindly(run, found), True
    if gaps := gap_rows(run):
        yield "Said, felt and done", GAPS + parts.html_rows(gaps), False
    yield "How far the readings can be trusted", reliability_section(run), True
    yield "What failed", parts.failed(run, found, summary), not _failures(found, summary)
    yield "Figures", "".join(html_figure(picture) for picture in figures), True
    yield "How to repeat it", parts.reproduce(run, summary), True
    configuration = html_text(json.dumps(run.meta["scenario"], indent=2, ensure_ascii=False))
    yield "Configuration", f"<pre>{configuration}</pre>", True


def _failures(found: Findings, summary: dict[str, Any]) -> bool:
    """Whether anything failed that may bear on the numbers."""
    of = found.failures
    return bool(
        sum(map(sum, (of.missing.values(), of.refused.values(), of.failed.values()))) or summary["failed_readings_all_agents"]
    )


VIEWER = (
    '<div id="viewer" class="viewer"><p class="soft">Here a browser that runs scripts shows the network step by step, what each '
    "agent said and heard, and why it was called a case. The figures below show the run without one.</p></div>"
)


def _tiles(found: Findings) -> str:
    """The numbers that most people look for."""
    of = found.spread
    r0, peak = of.r0, of.peak
    tiles = [
        ("attack rate", parts.percent(of.attack.value), f"{of.attack.count} of {of.attack.of} susceptible agents"),
        ("peak prevalence", parts.percent(peak.share if peak else None), parts.when(peak.step) if peak else "none recorded"),
        (
            "reproduction number",
            "not known" if r0.value is None else f"{r0.value:.2f}",
            r0.reason or f"95% interval {r0.low:.2f} to {r0.high:.2f}",
        ),
        ("index cases", str(of.index), f"of {of.size.of} agents"),
    ]
    told = "".join(f"<div><span>{name}</span><b>{value}</b><span>{html_text(more)}</span></div>" for name, value, more in tiles)
    return f'<div class="key">{told}</div>'


def headline(found: Findings, status: str) -> str:
    """One sentence: what spread."""
    attack, size, strain = found.spread.attack, found.spread.size, found.strain
    count, of = attack.count, attack.of
    steps = f"{found.steps} step{'' if found.steps == 1 else 's'}"
    if not size.of:
        return f"The run ended ({status}) before its population was recorded."
    if not of:  # never so of a state, which nobody is seeded with
        return f"Every one of the {size.of} agents was an index case, so nobody was left to take up the {strain} persona."
    who = {0: f"None of {of}", of: f"All {of}"}.get(count, f"{count} of {of}")
    agents = "susceptible agent" if of == 1 else "susceptible agents"
    index = found.spread.index
    after = "" if index else "; nobody was seeded with it"
    took_up = f"took up the {strain} persona" if found.state_of is None else f"came to show the state {strain}"
    return f"{who} {agents} {took_up} in {steps}{after}."


def _headline(run: Run, found: Findings, summary: dict[str, Any]) -> str:
    meta, warning = run.meta, ""
    if meta["status"] != "finished":
        why = f": {meta['reason']}" if meta.get("reason") else ""
        words = f"This run is {meta['status']} after {found.steps} of {meta['steps']} planned steps{why}."
        warning = f'<p class="warn">{html_text(words)} All numbers are of those steps.</p>'
    r0 = summary["r0"]
    pace = (
        f"No reproduction number: {r0['reason']}."
        if "reason" in r0
        else f"An early case led to {r0['estimate']:.2f} more on average (95% interval {r0['low']:.2f} to {r0['high']:.2f})."
        + _bias(found)
    )
    lead = f'<p class="lead">{html_text(headline(found, meta["status"]))} {html_text(pace)}</p>'
    return f'{lead}<p class="soft">{html_text(_setting(meta["scenario"]))}</p>{warning}'


def _setting(scenario: Mapping[str, Any]) -> str:
    """The world, what happened in it and what was done, by their names in the configuration, as far as it names them."""
    named = {
        "World": [scenario["env"]["_target_"].rpartition(".")[2].lower()] if "env" in scenario else None,
        "pressure": scenario.get("pressure", {}).get("events"),
        "interventions": scenario.get("intervention"),
    }
    return "; ".join(f"{what}: {', '.join(names) or 'none'}" for what, names in named.items() if names is not None)


def _bias(found: Findings) -> str:
    """Whether the reproduction number misses much, as it does where a latent period outlasts the memory for causes."""
    if found.explained is None or found.explained >= WELL_EXPLAINED:
        return ""
    return f" It is biased low, for candidate sources explain only {found.explained:.0%} of what caused cases."
