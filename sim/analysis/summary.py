"""summary.json: the numbers of a run under documented keys (docs/summary.md)."""

from __future__ import annotations

from typing import Any

from contagium.sim.analysis import tallies
from contagium.sim.analysis.failures import Failures
from contagium.sim.analysis.findings import Findings, Spread, find
from contagium.sim.analysis.spread.adoption import COPIED, NO_TEXT, OWN_WORDS
from contagium.sim.analysis.study import Study, study, summary_of, told
from contagium.sim.log import Run
from contagium.sim.schema import SCHEMA_VERSION


def summarise(run: Run, found: Findings | None = None, more: Study | None = None) -> dict[str, Any]:
    """The content of summary.json. found, more: what `find` and `study` gave for this run, if they are at hand.

    Values are plain JSON; what is not defined is None and `reasons` says why, by key.
    """
    found = found or find(run)
    more = more or study(run, found)
    steps = run.table("step")
    ((readings, failed),) = run.rows("SELECT count(*), coalesce(sum(status != 'ok'), 0) FROM reading")
    how, peak, cases = found.adoption["how"].value_counts(), found.spread.peak, found.chains.cases
    return {
        "name": run.meta["name"],
        "status": run.meta["status"],
        "reason": run.meta.get("reason"),
        "strain": found.strain,
        "seed": run.meta["seed"],
        "agents": found.spread.size.of,
        "detailed_agents": found.detailed.count,
        "steps": found.steps,
        "steps_planned": run.meta["steps"],
        "attack_rate": found.spread.attack.value if found.steps else None,
        "final_size": found.spread.size.value,
        "peak_prevalence": peak.share if peak and found.steps else None,
        "peak_step": peak.step if peak and found.steps else None,
        "r0": summary_of(found.spread.r0),
        "cases": found.spread.attack.count,
        "index_cases": int(cases["index"].sum()),
        "spontaneous_cases": int(cases["spontaneous"].sum()),
        "explained": found.explained,
        "strains": {name: _strain(of, found.steps) for name, of in found.strains.items()},
        **told(more),
        "adoption": {key: int(how.get(key, 0)) for key in (OWN_WORDS, COPIED, NO_TEXT)},
        "distressed": summary_of(tallies.distressed(run, found.strain)),
        **tallies.told(run),
        "messages": int(steps["messages"].sum()),
        "exposures": int(steps["exposures"].sum()),
        "missing_turns": int(steps["missing"].sum()),
        "refused_turns": sum(found.failures.refused.values()),
        "readings": readings,
        "failed_readings": failed,
        "failed_readings_all_agents": int(steps["failed_readings"].sum()),
        **_calls(found.failures),
        "wall_seconds": run.meta.get("wall_seconds"),
        "reasons": _reasons(run, found),
        "schema_version": SCHEMA_VERSION,
        "versions": run.meta["versions"],
    }


def _strain(of: Spread, steps: int) -> dict[str, Any]:
    peak = of.peak if steps else None
    return {
        "attack_rate": of.attack.value if steps else None,
        "final_size": of.size.value,
        "peak_prevalence": peak.share if peak else None,
        "peak_step": peak.step if peak else None,
        "r0": summary_of(of.r0),
        "cases": of.attack.count,
        "index_cases": of.index,
    }


def _calls(found: Failures) -> dict[str, Any]:
    """Calls of a language model; tokens where the backend counted them."""
    return {
        "calls": found.calls,
        "failed_calls": sum(found.failed.values()),
        "attempts": found.attempts,
        "faults": found.faults,
        "truncated": found.truncated,
        "refusals": found.refusals,
        "unread_answers": found.unread,
        "prompt_tokens": found.prompt_tokens,
        "completion_tokens": found.completion_tokens,
        "cost": found.cost,
    }


def _reasons(run: Run, found: Findings) -> dict[str, str]:
    """Why what is None is None, by key."""
    reasons = {}
    if found.spread.attack.value is None:
        nobody = "no population was recorded" if not found.spread.size.of else "every agent is an index case"
        reasons["attack_rate"] = f"{nobody}: there is nobody to catch it"
    if not found.steps:
        reasons["attack_rate"] = reasons["peak_prevalence"] = reasons["peak_step"] = "no step was done"
    if found.spread.size.value is None:
        reasons["final_size"] = "no population was recorded"
    if found.spread.peak is None:
        reasons["peak_prevalence"] = reasons["peak_step"] = "no compartments were recorded"
    if found.failures.cost is None:
        unknown = "not every model has a price in budget.prices, or a server counted no tokens"
        reasons["cost"] = unknown if found.failures.attempts else "no model was asked"
    if found.explained is None:
        reasons["explained"] = "no cases but the index cases"
    if run.meta.get("wall_seconds") is None:
        reasons["wall_seconds"] = "the run is still going on, or was killed"
    return reasons
