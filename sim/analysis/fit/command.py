"""The command `fit`: a contagion model from runs, checked on others, and carried to other populations."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contagium.sim.analysis.fit import hazard, model
from contagium.sim.analysis.fit.model import Fitted
from contagium.sim.analysis.fit.predict import (
    FEWEST_DRAWS,
    Check,
    Prediction,
    check,
    check_tables,
    failures,
    predict,
    prediction_table,
    span,
)
from contagium.sim.analysis.spread.replicates import alike
from contagium.sim.analysis.tables import show
from contagium.sim.build import ScenarioError
from contagium.sim.files import put
from contagium.sim.log import LogError, open_run
from contagium.sim.soundness import must_be_sound

DRAWS = FEWEST_DRAWS
"""Draws of a prediction, unless asked otherwise: with fewer there is no 95% interval."""

HELD_OUT_DRAWS = 200
"""Draws for each held-out run: as many as a p below 0.01 takes."""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m contagium.sim.analysis fit",
        description="Estimate a contagion model from runs, check it, and extrapolate.",
    )
    made.add_argument("run", nargs="+", type=Path, help="directories of replicates to fit together")
    made.add_argument("--held-out", nargs="+", type=Path, default=[], help="directories of replicates to predict")
    made.add_argument("--agents", type=int, help="predict the epidemic among so many")
    made.add_argument("--steps", type=int, help="steps to predict (as many as the first run had)")
    made.add_argument("--draws", type=int, default=DRAWS, help=f"epidemics among --agents agents ({DRAWS})")
    made.add_argument("--strain", help="which strain (the first)")
    made.add_argument(
        "--kind", choices=("case", "latent"), default="case", help="what the observer saw, or mechanistic agents' truth"
    )
    made.add_argument("--output", type=Path, help="directory for the model as configuration, figures and fit.json")
    made.add_argument("--json", action="store_true", help="print JSON in place of tables")
    return made


def main(argv: list[str] | None = None) -> int:
    """The command. Status 2: a run cannot be read, or is too thin to fit anything."""
    asked = parser().parse_args(argv)
    for name in ("agents", "draws", "steps"):
        if (given := getattr(asked, name)) is not None and given < 1:
            print(f"contagium: --{name} must be at least 1, got {given}", file=sys.stderr)
            return 2
    try:
        fitted, checks, prediction = asyncio.run(_work(asked))
        if asked.output is not None:
            _write(asked.output, fitted, checks, prediction)
    except (LogError, ScenarioError, OSError) as error:
        print(f"contagium: {error}", file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps(told(fitted, checks, prediction), indent=2, allow_nan=False))
    else:
        tables = [*hazard.tables(fitted.hazard), *model.tables(fitted), *check_tables(checks)]
        tables += [prediction_table(prediction)] if prediction is not None else []
        notes = [_how(asked.output, fitted)] if asked.output is not None else []
        show(tables, notes, f"Fitted to {len(asked.run)} run{'s' * (len(asked.run) > 1)}")
    return 0


async def _work(asked: argparse.Namespace) -> tuple[Fitted, list[Check], Prediction | None]:
    with ExitStack() as stack:
        runs = [stack.enter_context(closing(open_run(path))) for path in asked.run]
        held = [stack.enter_context(closing(open_run(path))) for path in asked.held_out]
        for run in (*runs, *held):
            must_be_sound(run)
        strain = alike([*runs, *held], asked.strain)
        if (first := str(runs[0].meta["strains"][0])) != strain and (held or asked.agents is not None):
            raise LogError(f"epidemics are played of the first strain, {first}: leave out --held-out and --agents for {strain}")
        fitted = model.fit(runs, asked.strain, asked.kind)
        checks = [await check(fitted, run, HELD_OUT_DRAWS, asked.strain) for run in held]
        if asked.agents is None:
            return fitted, checks, None
        return fitted, checks, await predict(fitted, runs[0], asked.agents, asked.draws, asked.steps, _progress)


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line}", end="", file=sys.stderr, flush=True)


def told(fitted: Fitted, checks: list[Check], prediction: Prediction | None) -> dict[str, Any]:
    """All that was found, for JSON."""
    found: dict[str, Any] = {
        "kind": fitted.kind,
        "runs": fitted.runs,
        "agents": fitted.agents,
        "verdict": fitted.hazard.verdict,
        "words": fitted.hazard.words,
        "left_out": fitted.hazard.left_out,
        "power": asdict(fitted.hazard.power),
        "form": asdict(fitted.fit.form),
        "estimates": {name: asdict(one) for name, one in fitted.estimates.items()},
        "notes": list(fitted.notes),
    }
    if checks:
        found["held_out"] = [
            {"run": str(one.path), "draws": one.draws, "inside": one.inside, "pit": one.places, "p": one.p}
            | {"observed": {name: getattr(one.observed, name) for name in one.places}}
            | {"predicted": {name: asdict(e) for name, e in one.predicted.items()}}
            for one in checks
        ]
        found["fails"] = failures(checks)
    if prediction is not None:
        curves = {name: getattr(prediction, name).tolist() for name in ("low", "middle", "high")}
        found["predicted"] = {"agents": prediction.agents, "index": prediction.index, "draws": prediction.draws} | {
            "interval": span(prediction.draws),
            "estimates": {name: asdict(e) for name, e in prediction.predicted.items()},
            "prevalence": curves,
        }
    return found


def _how(output: Path, fitted: Fitted) -> str:
    return f"Run the model: contagium --config-dir {output} {fitted.arguments}"


def _write(output: Path, fitted: Fitted, checks: list[Check], prediction: Prediction | None) -> None:
    from contagium.sim.analysis.figures.fit import write_figures

    output.mkdir(parents=True, exist_ok=True)
    fitted.write(output)
    put(output / "fit.json", json.dumps(told(fitted, checks, prediction), indent=2, allow_nan=False).encode())
    write_figures(output, fitted, checks, prediction)
