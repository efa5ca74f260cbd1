"""Scripted agents say lines of their persona and nothing else."""

import asyncio

import numpy as np
import pytest

from contagium.agents.persona import Persona
from contagium.agents.policy import Population, Question, Setting, name_of
from contagium.agents.scripted import Scripted
from contagium.envs.forum import Forum
from contagium.envs.message import Axes
from contagium.envs.network import complete
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation

SIZE, AXES, STREAMS = 40, Axes(("spiral",)), Streams(3)
SPIRAL = Persona(name="spiral", examples=("We spiral.", "Awake."))
PLAIN = Persona(name="plain", examples=("Lunch.", "Work."))


def setting(spiral: Persona = SPIRAL, plain: Persona = PLAIN) -> Setting:
    strain = np.where(np.arange(SIZE) < 10, 0, -1)
    population = Population(np.zeros(SIZE, dtype=np.int64), strain, np.ones(SIZE), np.ones(SIZE))
    return Setting(np.arange(SIZE), population, AXES, (spiral,), plain, name_of, (), 0, None)


def observation(step: int) -> Observation:
    world = Forum(complete(SIZE, STREAMS), AXES)
    world.reset(STREAMS)
    world.step = step
    return world.observe(np.arange(SIZE))


def act(policy: Scripted, step: int) -> Act:
    return asyncio.run(policy.act(observation(step), STREAMS))


def test_index_agents_say_lines_of_the_strain_and_others_of_the_background() -> None:
    policy = Scripted()
    policy.begin(setting())
    for step in range(5):
        said = act(policy, step)
        assert said.says.all()
        assert np.isnan(said.expression).all()
        assert {said.text[a] for a in range(10)} == set(SPIRAL.examples)
        assert {said.text[a] for a in range(10, SIZE)} == set(PLAIN.examples)
    assert act(policy, 0).text != act(policy, 1).text


def test_lines_of_its_own_replace_those_of_the_background() -> None:
    policy = Scripted(lines=("Only this.",))
    policy.begin(setting())
    said = act(policy, 0)
    assert {said.text[a] for a in range(10, SIZE)} == {"Only this."}
    assert said.text[0] in SPIRAL.examples


@pytest.mark.parametrize("silent", ["spiral", "plain"])
def test_a_persona_without_lines_is_refused(silent: str) -> None:
    given = {silent: Persona(name=silent)}
    with pytest.raises(ValueError, match=f"persona {silent} has no examples"):
        Scripted().begin(setting(**given))


def test_scripted_agents_have_no_answers() -> None:
    policy = Scripted()
    policy.begin(setting())
    assert asyncio.run(policy.ask(np.arange(SIZE), Question("How are you?"), 0, STREAMS)) == {}
