"""An experiment from its file to its comparison."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from threading import Thread

from rich.console import Console
from rich.markup import escape

from contagium.sim.analysis.tables import counted
from contagium.sim.analysis.text import visible
from contagium.sim.application import estimated
from contagium.sim.commandline import complain, plain
from contagium.sim.experiment.composing import Composer, composer_of
from contagium.sim.experiment.plan import Planned, plan
from contagium.sim.experiment.spec import Experiment
from contagium.sim.experiment.verdict import conclude
from contagium.sim.job import failed
from contagium.sim.log import LogError

DRAWS = "contagium.sim.analysis.figures.arms"


def carry_out(arguments: Sequence[str]) -> None:
    """Run what is missing of an experiment, and compare its arms.

    arguments: of the command line, as made by `for_hydra`. UserError, HydraException, before anything is run: it cannot be
    composed, and what `plan` says. Statuses of runs that failed go to `job.failed`.
    """
    composer = composer_of(arguments)
    experiment, runs = composer.experiment, plan(composer)
    if any(run.scenario.budget.estimate for run in runs):
        return _price(runs, experiment)
    console = Console(stderr=True, highlight=False)
    _announce(console, composer, runs)
    _launch(composer, [run for run in runs if run.state != "done"], console, arguments)
    try:
        conclude(experiment, composer.name, runs, composer.directory)
    except (LogError, OSError) as error:
        failed.append(complain(f"no comparison: {visible(str(error))}", 1))


def _launch(composer: Composer, left: Sequence[Planned], console: Console, arguments: Sequence[str]) -> None:
    if not left:
        return
    composer.directory.mkdir(parents=True, exist_ok=True)
    # What draws the comparison takes a second or two to load, and this process has nothing to do while runs are made.
    Thread(target=import_module, args=(DRAWS,), daemon=True).start()
    again = f"What is done is kept. Go on with: {_again(arguments, composer.directory)}"
    try:
        results = composer.launch([run.overrides for run in left], composer.experiment.parallel)
    except (KeyboardInterrupt, SystemExit):
        console.print(again, markup=False, soft_wrap=True)
        raise
    statuses = [int(result.return_value) for result in results]
    failed.extend(status for status in statuses if status)
    if bad := sum(status != 0 for status in statuses):
        console.print(f"{bad} of {len(left)} runs did not end well. {again}", markup=False, style="bold red", soft_wrap=True)


def _again(arguments: Sequence[str], directory: Path) -> str:
    """The command that was given, in the same directory."""
    words = [plain(word) for word in arguments if word not in ("-m", "--multirun") and not word.startswith("hydra.sweep.dir=")]
    words = [word.lstrip("+") if word.lstrip("+").startswith("experiment") else word for word in words]
    return shlex.join(["contagium", *words, f"hydra.sweep.dir={directory}"])


def _announce(console: Console, composer: Composer, runs: Sequence[Planned]) -> None:
    of, states = composer.experiment, Counter(run.state for run in runs)
    what = f"{escape(', '.join(of.run))}; {counted(of.replicates, 'run')} each, {len(runs)} in all"
    console.print(f"[bold]{escape(composer.name)}[/bold] ({', '.join(of.hypothesis)}): {what}", soft_wrap=True)
    if states["done"] or states["begun"]:
        console.print(f"{states['done']} are done, {states['begun']} begun, {states['missing']} missing", soft_wrap=True)
    console.print(f"Results go to {escape(str(composer.directory))}", soft_wrap=True)


def _price(runs: Sequence[Planned], experiment: Experiment) -> None:
    """What the experiment would take at most: one run of each arm is gone through, for others of it ask as much."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("arm", "model", "calls a run", "tokens read", "tokens written", "cost a run"):
        table.add_column(column, justify="left" if column in ("arm", "model") else "right")
    calls, cost, unpriced = 0, 0.0, False
    for run in runs[: len(experiment.run)]:
        for of in estimated(run.scenario):
            told = "no price given" if of.cost is None else f"{of.cost:.4g}"
            read, written = f"about {of.prompt_tokens}", f"at most {of.completion_tokens}"
            table.add_row(escape(run.arm), escape(of.model), str(of.calls), read, written, told)
            calls, cost, unpriced = calls + of.calls, cost + (of.cost or 0.0), unpriced or of.cost is None
    n = experiment.replicates
    console = Console(stderr=True, highlight=False)
    console.width = max(console.width, 110)  # off a terminal rich takes 80 columns, and would fold the numbers
    console.print(table if calls else "No language model is asked: the experiment costs nothing.")
    if calls:
        console.print(f"With {n} runs an arm: {calls * n:,} calls" + ("" if unpriced else f", cost {cost * n:.4g}"))
