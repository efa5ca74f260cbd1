"""Known answers: parrots adopt with a known probability, and replaying their turns must find it."""

from __future__ import annotations

from contextvars import ContextVar

import numpy as np
import pytest

from contagium.agents.backends.backend import Completion, Request
from contagium.agents.backends.parrot import SPIRAL_LINES, Parrot
from contagium.envs.rng import Streams
from contagium.sim import __main__ as application
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.counterfactual import __main__ as counterfactual
from contagium.sim.counterfactual.effect import difference
from contagium.sim.counterfactual.results import Edge, read_counterfactual
from contagium.sim.counterfactual.tape import Swaps
from contagium.sim.counterfactual.turn import Drawn, Turn
from contagium.sim.reading import Run, open_run

SAMPLES, CASES = 40, 4
FEW = ("observer.instruments.emotion_lexicon=null", "~observer.axes.distress")

Truth = dict[tuple[int, int, frozenset[int]], float]
"""By agent, step and messages that were masked: the probability with which the parrot adopts."""


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[Edge], Truth]:
    """A run of parrots, its edges, and what is true of them."""
    directory, truth = tmp_path_factory.mktemp("parrots") / "run", Truth()
    masked: ContextVar[frozenset[int]] = ContextVar("masked")
    draw, replies = Drawn.complete, Turn.replies

    async def drawing(self: Drawn, request: Request) -> Completion:
        truth[request.agent, request.step, masked.get()] = Parrot().probability(request)
        return await draw(self, request)

    async def replying(self: Turn, samples: int, swaps: Swaps | None = None) -> list[str | None]:
        masked.set(frozenset(swaps or ()))
        return await replies(self, samples, swaps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["contagium"])
        patch.setattr("contagium.sim.application.write_outputs", lambda path: {})
        patch.setattr("contagium.sim.application.show_summary", lambda *given: None)
        patch.setenv("HYDRA_FULL_ERROR", "1")
        of = ("backend=parrot", "observer=lexicon", *FEW, "steps=10", "population.size=16", "seeding.count=2", "seed=3")
        assert application._run(["contagium", *of, f"hydra.run.dir={directory}"]) == 0
        patch.setattr(Drawn, "complete", drawing)
        patch.setattr(Turn, "replies", replying)
        asked = ["--most", CASES, "--samples", SAMPLES, "--variants", "masked,placebo", "--together"]
        assert counterfactual.main([str(directory), *map(str, asked)]) == 0
    run = open_run(directory)
    return run, read_counterfactual(run), truth


def probabilities(edge: Edge, truth: Truth) -> tuple[float, float]:
    """Of adopting, with the request as it was, and with the messages masked."""
    return truth[edge.agent, edge.onset, frozenset()], truth[edge.agent, edge.onset, frozenset(edge.messages)]


def seen(run: Run) -> float:
    """The share of the parrot's infected lines that the run's instrument takes for a sign."""
    said, read = run.table("message").set_index("id")["text"], run.read("persona_lexicon", "spiral").set_index("id")["value"]
    value = read.groupby(said).first().reindex(SPIRAL_LINES)
    assert not value.isna().any()  # every line was said in the run
    return float((value >= run.meta["detection"]["spiral"]["enter"]).mean())


def within(of: Estimate, true: float) -> bool:
    assert of.low is not None
    assert of.high is not None
    return of.low - 1e-9 <= true <= of.high + 1e-9


def test_the_probabilities_of_parrots_are_recovered(replayed: tuple[Run, list[Edge], Truth]) -> None:
    run, found, truth = replayed
    shown = seen(run)
    assert len(found) >= 20
    held = []
    for edge in found:
        first, second = (shown * p for p in probabilities(edge, truth))
        held += [within(edge.baseline, first), within(edge.changed, second), within(edge.effect, first - second)]
    assert len({round(p, 6) for p in truth.values()}) >= 4
    # Of 95% intervals that share their samples within a case, a few may miss.
    assert np.mean(held) >= 0.9


def test_without_all_candidates_there_is_nothing_to_adopt_from(replayed: tuple[Run, list[Edge], Truth]) -> None:
    joint = [edge for edge in replayed[1] if len(edge.messages) > 1]
    assert len(joint) >= 3
    assert {edge.changed.value for edge in joint} == {0.0}
    assert all(edge.confirmed for edge in joint)


def test_a_message_that_did_nothing_is_no_cause(replayed: tuple[Run, list[Edge], Truth]) -> None:
    """The observer credits every message of the window; that of those which the parrot did not heed the effect is 0 exactly."""
    _, found, truth = replayed
    idle = [edge for edge in found if len(set(probabilities(edge, truth))) == 1]
    assert sum(edge.variant == "masked" for edge in idle) >= 5
    assert {(edge.effect.value, edge.confirmed) for edge in idle} == {(0.0, False)}
    assert max(edge.probability for edge in idle) > 0.1


def test_intervals_of_paired_differences_hold_the_truth() -> None:
    """Coverage of 95% intervals at 50 pairs, with the same chance in both and with chance apart."""
    rng, rounds, n = Streams(6).generator("coverage"), 200, 50
    for first, second, shared in ((0.3, 0.0, True), (0.66, 0.51, True), (0.9, 0.3, False)):
        u = rng.random((rounds, n))
        v = u if shared else rng.random((rounds, n))
        held = 0
        for one, other in zip((u < first).astype(float), (v < second).astype(float), strict=True):
            of = difference(one, other)[0]
            assert of.low is not None
            assert of.high is not None
            held += of.low <= first - second <= of.high
        # 92% to 98%, and three standard errors; all may hold it.
        assert 0.92 - 0.058 < held / rounds < 0.98 + 0.0201


def test_without_an_effect_few_edges_are_called_causes() -> None:
    """p of the exact test is at most 5% under the hypothesis, so that at most 5% of edges without effect reach it."""
    rng = Streams(7).generator("false alarms")
    p = [difference((rng.random(50) < 0.4).astype(float), (rng.random(50) < 0.4).astype(float))[1] for _ in range(200)]
    assert np.mean(np.array(p, dtype=float) <= 0.05) <= 0.06
