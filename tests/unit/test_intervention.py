"""Interventions: who is in their scope, what their hands do, and that quarantine withholds as it says."""

import asyncio

import numpy as np
import pytest

from contagium.envs.message import Messages
from contagium.envs.rng import Streams
from contagium.envs.when import Signs
from contagium.envs.who import Place
from contagium.sim.intervention.base import Intervention, Moment
from contagium.sim.intervention.quarantine import Quarantine
from contagium.sim.intervention.scope import Scope, Scoped

SIZE = 4000
EVERYONE, EVEN = np.arange(SIZE), np.arange(SIZE) % 2 == 0


def scoped(intervention: Intervention, name: str = "quarantine", **scope: object) -> Scoped:
    return Scoped(name, intervention, Scope.model_validate(scope), Place(SIZE, np.array([3])), Streams(1))


def signs(step: int, cases: np.ndarray = EVEN, **shown: np.ndarray) -> Signs:
    return Signs(step, shown, {"spiral": cases})


def withheld(work: Scoped, step: int, sender: np.ndarray = EVERYONE) -> np.ndarray:
    zero = np.zeros(len(sender), dtype=np.int64)
    blank = np.zeros((len(sender), 4), dtype=np.float32)
    messages = Messages(np.arange(len(sender)), sender, zero, zero.astype(np.int8), zero, zero - 1, blank)
    return asyncio.run(work.intervention.transit(work.moment(signs(step)), messages)).withheld


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_cases_is_withheld_and_nobody_else(share: float) -> None:
    stopped = withheld(scoped(Quarantine(share)), 0)
    assert not stopped[~EVEN].any()
    assert stopped[EVEN].mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / EVEN.sum()))


def test_it_works_from_its_first_step_to_its_last() -> None:
    work = scoped(Quarantine(), start=2, stop=4)
    assert [withheld(work, step).any() for step in range(5)] == [False, False, True, True, False]


def test_what_becomes_of_a_message_does_not_depend_on_who_else_sends() -> None:
    whole, some = withheld(scoped(Quarantine(0.5)), 3), EVERYONE[::7]
    assert np.array_equal(withheld(scoped(Quarantine(0.5)), 3, some), whole[::7])


def test_two_quarantines_withhold_independently() -> None:
    one, two = (withheld(scoped(Quarantine(0.5), name), 0)[EVEN] for name in ("one", "two"))
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 / np.sqrt(EVEN.sum())


def in_scope(work: Scoped, *given: Signs) -> list[Moment]:
    return [work.moment(each) for each in given]


def test_an_emotional_state_that_is_followed_too_puts_nobody_in_quarantine() -> None:
    sad = {"spiral": EVEN, "sad": np.ones(SIZE, dtype=bool)}
    moment = scoped(Quarantine()).moment(Signs(0, {}, sad, states=frozenset({"sad"})))
    assert np.array_equal(moment.is_case, EVEN)


def test_a_trigger_once_met_holds_for_good_unless_it_is_not_to_last() -> None:
    low, high = np.full(SIZE, 1.0), np.where(EVEN, 7.0, 1.0)
    course = [signs(step, distress=value) for step, value in enumerate((low, high, low))]
    trigger = {"measure": "distress", "above": 5}
    first, then, last = in_scope(scoped(Quarantine(), trigger=trigger), *course)
    assert [first.among.sum(), then.among.sum(), last.among.sum()] == [0, EVEN.sum(), EVEN.sum()]
    assert np.array_equal(then.fresh, EVEN)
    assert not last.fresh.any()
    moments = in_scope(scoped(Quarantine(), trigger=trigger, lasting=False), *course)
    assert np.array_equal(moments[2].gone, EVEN)
    assert not moments[2].among.any()


def test_a_trigger_by_share_is_met_for_everybody_at_once() -> None:
    work = scoped(Quarantine(), trigger={"case": "spiral", "share": 0.6})
    few, many = in_scope(work, signs(0), signs(1, cases=EVERYONE % 3 > 0))
    assert not few.among.any()
    assert many.among.all()


def test_who_can_be_cases_index_cases_a_share_or_ids() -> None:
    assert np.flatnonzero(scoped(Quarantine(), who="index").moment(signs(0)).among).tolist() == [3]
    assert scoped(Quarantine(), who=0.25).moment(signs(0)).among.sum() == SIZE // 4
    assert np.flatnonzero(scoped(Quarantine(), who=[5, 9]).moment(signs(0)).among).tolist() == [5, 9]
    assert np.array_equal(scoped(Quarantine(), who={"case": "spiral"}).moment(signs(0)).among, EVEN)


@pytest.mark.parametrize(
    ("scope", "says"),
    [
        ({"who": {"group": "speaking"}}, "no group 'speaking'; there are: none"),
        ({"who": [4000]}, "agents are 0 to 3999, got 4000"),
        ({"who": {"community": 1}}, "nothing is known here of a network to choose by"),
    ],
)
def test_a_scope_of_nobody_is_refused(scope: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        scoped(Quarantine(), **scope)
    with pytest.raises(ValueError, match="stop must be after start"):
        Scope(start=3, stop=3)
    with pytest.raises(ValueError, match="nothing is known of 'bliss'; there are: distress"):
        scoped(Quarantine(), trigger={"measure": "bliss", "above": 1}).must_be_known(("distress",), ("spiral",))
