"""The course of every agent through a run, and what it had heard by each of its turns: from the log to rows of a likelihood."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.sim.analysis.fit.likelihood import AXES, Rows, Values
from contagium.sim.analysis.places import places
from contagium.sim.analysis.spread.epidemic import chosen_strain, index_agents, last_step, moves
from contagium.sim.analysis.spread.risk import doses, doses_of, hearing, sent
from contagium.sim.log import LogError, Run

S, I, R, E = range(4)  # noqa: E741
CODES = {
    "case": {"S": S, "E": S, "C": S, "I": I, "H": I, "R": R},
    "latent": {"S": S, "E": E, "I": I, "R": R},
}
"""Compartments as they are fitted. Who the observer calls exposed or a carrier shows nothing yet; who sheds is a case."""

CAUGHT = ((S, E), (S, I), (R, E), (R, I))
"""Moves that may follow what was heard."""

FEWEST_STEPS = 3
"""Steps a run must have done: what the first one shows is where agents begin, and then one turn is no course."""


class UnfitError(LogError):
    """A sound log of which no contagion model can be made; the message says why."""


@dataclass(frozen=True)
class Course:
    """A run as T steps of n agents that are logged in detail, and of N agents in all.

    state: (T + 1, n) int8, compartment before each step and after the last. turn: (T, n), whether it acted; for each turn as in
    `Rows`: elapsed, dose, heard, sources, background, all (T, n), and affect, (T, n, 3). scale: (n,). said: (k,) the dose of each
    message of a case. known: (T, n), False for a turn before which a message was heard without a good reading in the log, which
    most messages of agents that are not logged in detail are: its dose is not known.
    """

    size: int
    kind: str
    state: NDArray[np.int8]
    turn: NDArray[np.bool_]
    elapsed: Values
    dose: Values
    heard: Values
    sources: NDArray[np.int64]
    background: Values
    affect: Values
    scale: Values
    said: Values
    known: NDArray[np.bool_]

    def rows(self, origin: int, target: int) -> Rows:
        """Turns from step 1 on of agents in `origin`, and whether each left it for `target`; who left otherwise did not.

        Of moves that follow what was heard, only turns whose dose is known.
        """
        caught = (origin, target) in CAUGHT
        step, who = np.nonzero(self.at_risk(origin) & self.known if caught else self.at_risk(origin))
        return Rows(
            event=self.state[1:][step, who] == target,
            elapsed=self.elapsed[step, who],
            dose=self.dose[step, who],
            heard=self.heard[step, who],
            sources=self.sources[step, who],
            background=self.background[step, who],
            scale=self.scale[who],
            affect=self.affect[step, who],
            count=np.ones(len(step)),
        )

    def at_risk(self, origin: int) -> NDArray[np.bool_]:
        """Turns of agents in a compartment, (T, n). Not those of step 0, for which no time has passed and nothing was heard."""
        at = self.turn & (self.state[:-1] == origin)
        at[0] = False
        return at

    @property
    def left_out(self) -> int:
        """Turns of susceptible agents whose dose is not known."""
        return int((self.at_risk(S) & ~self.known).sum())

    @property
    def followed(self) -> Course:
        """The course of each agent up to the first turn whose dose is not known: later ones depend on what it may have caught."""
        return replace(self, known=np.logical_and.accumulate(self.known, axis=0))

    def moved(self, origin: int, target: int) -> int:
        """How often agents logged in detail made this move."""
        return int(((self.state[:-1] == origin) & (self.state[1:] == target)).sum())


def course(run: Run, strain: str | None = None, kind: str = "case", affect: bool = False) -> Course:
    """The course of a run. affect: whether own affect is wanted, which takes a while to read.

    A turn is a step in which an agent sent a message (of kind "case", one with a good reading) or moved; who acts in silence is
    taken to act when it next speaks. UnfitError: too few steps, or compartments that no model of S, E, I and R has.
    """
    strain, steps = chosen_strain(run, strain), last_step(run) + 1
    if steps < FEWEST_STEPS:
        raise UnfitError(f"{run.path}: {steps} steps were done, {FEWEST_STEPS} are needed to fit anything")
    everyone = states(run, strain, kind, steps)
    told = run.agents[run.agents["detailed"] == 1].sort_values("id")
    agents = told["id"].to_numpy(np.int64)
    said, dose, place = sent(run), doses_of(doses(run, strain), sent(run)["id"]), places(agents, sent(run)["sender"])
    logged = (place >= 0) & (said["step"] < steps)
    said, dose, place = said[logged], dose[logged], place[logged]
    good = ~np.isnan(dose) if kind == "case" else np.ones(len(said), dtype=bool)
    state = everyone[:, agents]
    turn = np.diff(state, axis=0) != 0
    turn[said["step"][good], place[good]] = True
    parts = _received(run, strain, agents, everyone, turn)
    case = state[said["step"] + 1, place] == I
    return Course(
        size=run.size,
        kind=kind,
        state=state,
        turn=turn,
        elapsed=_since(turn),
        **parts,
        affect=_affect(run, said, place, turn.shape) if affect else np.full((*turn.shape, 3), np.nan),
        scale=_susceptibility(run, told),
        said=dose[case],
    )


def states(run: Run, strain: str, kind: str, steps: int) -> NDArray[np.int8]:
    """The compartment of all N agents before each of T steps and after the last, (T + 1, N). A case counts from its onset."""
    moved = moves(run, strain, kind).sort_values(["onset", "id"], kind="stable")
    codes = moved["target"].map(CODES[kind])
    if codes.isna().any() or moved["origin"].map(CODES[kind]).isna().any():
        found = ", ".join(sorted(set(map(str, moved["target"])) | set(map(str, moved["origin"]))))
        raise UnfitError(f"{run.path}: {kind} compartments {found}: only models of {', '.join(CODES[kind])} are fitted")
    state = np.full((steps + 1, run.size), S, dtype=np.int8)
    state[0, index_agents(run, strain)] = I
    onset, agent, code = (np.asarray(column, dtype=np.int64) for column in (moved["onset"], moved["agent"], codes))
    begins = np.searchsorted(onset, np.arange(steps + 1))
    for step in range(steps):
        state[step + 1] = state[step]
        now = slice(begins[step], begins[step + 1])
        state[step + 1, agent[now]] = code[now]
    return state


def _since(turn: NDArray[np.bool_]) -> NDArray[np.float64]:
    """At each step (T, n), steps since the last turn before it; the first step counts as one."""
    at = np.where(turn, np.arange(len(turn))[:, None], 0)
    last = np.vstack([np.zeros_like(at[:1]), np.maximum.accumulate(at, axis=0)[:-1]])
    since = np.arange(len(turn))[:, None] - last
    return since.astype(np.float64)


def _received(
    run: Run, strain: str, agents: NDArray[np.int64], everyone: NDArray[np.int8], turn: NDArray[np.bool_]
) -> dict[str, Any]:
    """What was heard since the last turn, by the turn in which it was acted on."""
    steps, size = turn.shape
    following = np.minimum.accumulate(np.where(turn, np.arange(steps)[:, None], steps)[::-1], axis=0)[::-1]
    following = np.vstack([following, np.full(size, steps)])
    got = hearing(run, strain)
    known = got.step < steps
    got = type(got)(*(getattr(got, field.name)[known] for field in fields(got)))
    row = np.searchsorted(agents, got.agent)
    read_at = following[got.step + 1, row]
    cell = read_at * size + row
    shown = np.nan_to_num(got.dose)
    from_case = everyone[got.step + 1, got.source] == I

    def summed(values: Values) -> Values:
        total: Values = np.bincount(cell, values, minlength=(steps + 1) * size)[: steps * size].astype(np.float64)
        return total.reshape(steps, size)

    most = run.size + 1
    pairs = np.unique(cell[shown > 0] * most + got.source[shown > 0]) // most
    return {
        "dose": summed(got.weight * shown),
        "heard": summed(got.weight * np.where(shown > 0, shown, 1.0)),
        "background": summed(got.weight * shown * ~from_case),
        "sources": np.bincount(pairs, minlength=(steps + 1) * size)[: steps * size].reshape(steps, size),
        "known": summed(np.isnan(got.dose).astype(np.float64)) == 0,
    }


def _affect(run: Run, said: NDArray[np.void], place: NDArray[np.int64], shape: tuple[int, int]) -> Values:
    """The affect each agent last showed before each step, (T, n, 3)."""
    shown = np.full((*shape, 3), np.nan)
    for k, axis in enumerate(AXES):
        for instrument in reversed(run.meta["axis_instruments"].get(axis, ())):
            read = run.read(instrument, axis).dropna(subset=["value"]).drop_duplicates("id")
            value = np.append(read["value"].to_numpy(), np.nan)[places(read["id"].to_numpy(), said["id"])]
            good = ~np.isnan(value)
            shown[said["step"][good], place[good], k] = value[good]
    at = np.where(np.isnan(shown).any(axis=2), -1, np.arange(shape[0])[:, None])
    last = np.vstack([np.full((1, shape[1]), -1), np.maximum.accumulate(at, axis=0)[:-1]])
    found = shown[np.maximum(last, 0), np.arange(shape[1])]
    found[last < 0] = np.nan
    return found


def _susceptibility(run: Run, told: pd.DataFrame) -> Values:
    """The trait, of agents on whose catching it acts: mechanistic ones, (n,); 1 for all others."""
    try:
        groups = run.meta["scenario"].get("agents", {}).get("groups", {})
        acts = {
            name for name, group in groups.items() if str(group.get("policy", {}).get("_target_", "")).endswith(".Mechanistic")
        }
    except AttributeError as error:
        raise UnfitError(f"{run.path}: its scenario is not as a run writes it: {error}") from error
    return np.where(told["group"].isin(acts), told["susceptibility"], 1.0).astype(np.float64)
