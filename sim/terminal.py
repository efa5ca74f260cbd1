"""What a person at the terminal sees while a run goes on, and at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from contagium.sim.analysis.text import visible
from contagium.sim.estimate import Estimate
from contagium.sim.laboratory import Laboratory
from contagium.sim.running import Progress


def announce(console: Console, lab: Laboratory) -> None:
    """Say what is about to happen, and where it is kept."""
    scenario = lab.scenario
    groups = escape(
        ", ".join(f"{int((lab.population.group == g).sum())} {name}" for g, name in enumerate(scenario.agents.groups))
    )
    counts = [int((lab.population.strain == k).sum()) for k in range(len(scenario.personas))]
    index = " and ".join(
        f"{count} index {'case' if count == 1 else 'cases'} of persona {escape(persona.name)}"
        for count, persona in zip(counts, scenario.personas, strict=True)
    )
    events = escape(", ".join(scenario.pressure.events) or "none")
    world, steps = type(lab.world).__name__.lower(), scenario.steps
    where = f"{'an' if world[0] in 'aeiou' else 'a'} {world} world, {steps} step{'' if steps == 1 else 's'}"
    if scenario.intervention:
        events += f"; interventions: {escape(', '.join(scenario.intervention))}"
    console.print(
        f"[bold]{escape(scenario.name)}[/bold]: {groups} agents in {where}, seed {scenario.seed}; {index}; pressure: {events}",
        soft_wrap=True,
    )
    for line in _estimates(lab):
        console.print(line, soft_wrap=True)
    console.print(f"Results go to {escape(str(lab.directory))}", soft_wrap=True)


def _estimates(lab: Laboratory) -> list[str]:
    """For each language model, how many calls it will get, and how long they take where it could be timed."""
    steps, observer = lab.scenario.steps, lab.scenario.observer
    asides = [spec.every for spec in observer.interviews.values()] + ([observer.report_every] if observer.report_every else [])
    turns = steps * (2 if lab.world.choices else 1) + sum(len(range(0, steps, every)) for every in asides)
    before = sum(spent.calls for spent in lab.budget.spent.values())
    lines = [f"Going on after {before} calls; what is in the journal is not asked again"] if before else []
    for backend in lab.models:
        asked = sum(int((lab.population.group == g).sum()) for g, b in enumerate(lab.backends) if b is backend)
        calls = asked * turns
        line = f"Up to {calls} calls of {escape(backend.model)}, summaries, judgements and retries aside"
        if backend.seconds_per_call:
            seconds = calls * backend.seconds_per_call
            line += f", {seconds / 60:.0f} min" if seconds >= 90 else f", {seconds:.0f} s"
            line += f" at the {backend.seconds_per_call:.1f} s a call just measured here"
        lines.append(line)
    return lines


class Live:
    """A progress line: step, calls, tokens a second, who is infectious now. Off a terminal, a plain line now and then."""

    def __init__(self, console: Console, steps: int) -> None:
        self._console = console
        self._every = max(1, steps // 10)
        self._bar = Bar(
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("run", total=steps, note="")

    def __enter__(self) -> Live:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """A line above the progress, such as that the server is down."""
        self._console.print(escape(visible(line)), style="yellow", highlight=False, soft_wrap=True)

    def update(self, progress: Progress) -> None:
        note = f"infectious {progress.infectious}"
        if progress.tokens:
            note = f"{progress.tokens / progress.seconds:.0f} tokens/s, {note}"
        if progress.calls:
            note = f"{progress.calls} calls, {note}"
        self._bar.update(self._task, completed=progress.step, note=note)
        if not self._console.is_terminal and (progress.step % self._every == 0 or progress.step == progress.steps):
            self._console.print(f"step {progress.step}/{progress.steps}: {note}, {progress.seconds:.0f} s")


def show_estimate(console: Console, models: list[Estimate]) -> None:
    """What a run would take at most, model by model."""
    table = Table(box=None, pad_edge=False)
    for column in ("model", "calls", "tokens read", "tokens written", "cost"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for of in models:
        cost = "no price given" if of.cost is None else f"{of.cost:.4g}"
        table.add_row(escape(of.model), str(of.calls), f"about {of.prompt_tokens}", f"at most {of.completion_tokens}", cost)
    console.print(table if models else "No language model is asked: the run costs nothing.")


def show_summary(console: Console, summary: dict[str, Any], directory: Path) -> None:
    """The few numbers that matter, and where the report is."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("attack rate", _attack(summary))
    table.add_row("peak prevalence", _share(summary["peak_prevalence"]))
    table.add_row("reproduction number", _r0(summary["r0"]))
    missing = summary["missing_turns"]
    # Not out of so many turns: who had a turn and chose to be silent is in no count.
    table.add_row("missing turns", f"{missing}, beside {summary['messages']} messages", style="bold red" if missing else None)
    rows = (("refused_turns", "refused turns"), ("failed_calls", "failed calls"), ("unread_answers", "unread answers"))
    for key, words in rows:
        if summary[key]:
            table.add_row(words, str(summary[key]), style="bold red")
    if summary["faults"]:
        named = ", ".join(f"{count} × {escape(name)}" for name, count in summary["faults"].items())
        table.add_row("failed tries", f"{named} in {summary['attempts']}")
    if summary["outcomes"]:
        table.add_row("outcomes", ", ".join(f"{escape(name)} {of['mean']:.2g}" for name, of in summary["outcomes"].items()))
    told, of = summary["detailed_agents"], summary["agents"]
    sample = f" (a sample of {told:,} of {of:,} agents)" if told < of else ""
    table.add_row("failed readings", f"{summary['failed_readings']} of {summary['readings']}{sample}")
    seconds = summary["wall_seconds"]
    table.add_row("wall time", "unknown" if seconds is None else f"{seconds:.1f} s")
    console.print(table)
    console.print(f"Report: {escape(str(directory / 'report.html'))}", soft_wrap=True)


def _attack(summary: dict[str, Any]) -> str:
    cases, index, agents = summary["cases"], summary["index_cases"], summary["agents"]
    return f"{_share(summary['attack_rate'])} ({cases} of {agents - index} susceptible agents)"


def _share(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.1%}"


def _r0(r0: dict[str, Any]) -> str:
    if r0.get("estimate") is None:
        return str(r0.get("reason", "not estimated"))
    return f"{r0['estimate']:.2f} (95% interval {r0['low']:.2f} to {r0['high']:.2f})"
