"""What went wrong in a run's calls of language models, and what they cost: everything that a result must be read beside."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from contagium.agents.backends.budget import Price
from contagium.sim.log import Run

PAID = ["model", "prompt_tokens", "completion_tokens", "attempts", "faults"]


@dataclass(frozen=True)
class Failures:
    """Counts over a whole run, calls made for interviews included.

    asked: turns that a model was asked for. missing, refused: reason → turns without a result; a refused turn is one the model
    answered but would not play. calls, failed: calls in all, and reason → those that failed. attempts: tries, retries included.
    faults: name → tries that failed, whether or not a later one succeeded. truncated: replies cut at their length. refusals:
    replies that were refusals or filtered. unread: self-reports and answers that could not be read, or never came. models: asked
    model → names under which a server answered. cost: of the tokens that were counted, in the currency of the prices, None
    where a model has no price.
    """

    asked: int
    missing: dict[str, int]
    refused: dict[str, int]
    calls: int
    failed: dict[str, int]
    attempts: int
    faults: dict[str, int]
    truncated: int
    refusals: int
    unread: int
    prompt_tokens: int
    completion_tokens: int
    models: dict[str, list[str]]
    cost: float | None


def failures(run: Run) -> Failures:
    """Count what failed in `run`."""
    turns, calls = run.table("turn"), run.table("call")
    ok = calls["status"] == "ok"
    # A context that was too long is asked again in a shorter form: those tries are calls of their own, of the same turn.
    spoken = calls[calls["purpose"] == "speak"].drop_duplicates(["step", "agent"])
    asked = pd.concat([run.table("report")["status"], run.table("interview")["status"]])
    interviews = run.table("interview")
    paid = pd.concat([calls[PAID].assign(calls=1), interviews[[*PAID, "calls"]]])
    faults = paid["faults"].str.split(",").explode()
    tokens = {key: int(paid[key].fillna(0).sum()) for key in ("prompt_tokens", "completion_tokens")}
    served = calls[ok].groupby("model")["served"].unique()
    return Failures(
        asked=len(spoken),
        missing=_counts(turns.loc[turns["status"] == "missing", "reason"]),
        refused=_counts(turns.loc[turns["status"] == "refused", "reason"]),
        calls=int(paid["calls"].sum()),
        failed=_counts(pd.concat([calls.loc[~ok, "reason"], interviews.loc[interviews["status"] == "missing", "raw"]])),
        attempts=int(paid["attempts"].sum()),
        faults=_counts(faults[faults.fillna("") != ""]),
        truncated=int((ok & (calls["reason"] == "length")).sum()),
        refusals=int((ok & calls["reason"].isin(["refusal", "filter"])).sum()),
        unread=int((asked != "ok").sum()),
        models={str(model): sorted(str(name) for name in names) for model, names in served.items()},
        cost=_cost(run, paid),
        **tokens,
    )


def _counts(names: pd.Series) -> dict[str, int]:
    return {str(name): int(count) for name, count in names.fillna("not known").value_counts().items()}


def _cost(run: Run, paid: pd.DataFrame) -> float | None:
    """Cost of what was asked for, at the stated prices. None: a model has no price, or a server counted no tokens."""
    prices = run.meta["scenario"].get("budget", {}).get("prices", {})
    asked = paid[paid["attempts"] > 0]
    total = 0.0
    for model, part in asked.groupby("model"):
        answered = part[part["attempts"] > part["faults"].map(_tries)]
        if model not in prices or answered[["prompt_tokens", "completion_tokens"]].isna().any(axis=None):
            return None
        total += Price(**prices[model]).of(part["prompt_tokens"].sum(), part["completion_tokens"].sum())
    return total if len(asked) else None


def _tries(faults: str) -> int:
    return len([name for name in faults.split(",") if name])
