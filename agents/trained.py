"""Agents whose policy was trained, or written, elsewhere: a function, or a model of Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.agents.policy import Answer, Deed, Question, Setting, nothing_to_undergo
from contagium.envs.arrays import OWN, mean_read
from contagium.envs.foreign import code
from contagium.envs.network import Network
from contagium.envs.rng import Streams
from contagium.envs.spaces import View, bounds
from contagium.envs.world import Act, Observation, World

Algorithm = Literal["A2C", "DDPG", "PPO", "SAC", "TD3"]
"""Algorithms of Stable-Baselines3 whose actions can be a row of numbers."""

Floats = NDArray[np.float32]


class Trained:
    """Each agent does what a policy makes of what the environments for trainers would show it.

    function: package.module.function, or the function itself, from observations to actions. model: a file of a Stable-Baselines3
    model, of the named algorithm; to load one runs code that stands in it, so trust=True must say that you know its origin.

    view: "slots", rows as in `WorldParallelEnv(text=False)` and `SingleAgentEnv(text=False)`; "columns", rows as in `ArrayEnv`;
    "words", dictionaries as in `WorldParallelEnv`. With rows a function is called once a step: rows (n, F) float32 of all whose
    turn it is → rows (n, A), flat actions; it must treat each row by itself. With words it is called once for each of them.
    slots, max_length: as in the environment. heaviest: weight of the heaviest tie of its network, if above 1.

    An action out of its space, or whatever else the policy fails in, is a ForeignError. Agents take up no persona and show what
    the policy has them show. ValueError: a model of other observations or actions than there are here.
    """

    independent = True
    undergoes: tuple[type[Deed], ...] = ()

    def __init__(
        self,
        function: str | Callable[..., Any] | None = None,
        model: str | None = None,
        algorithm: Algorithm = "PPO",
        trust: bool = False,
        view: Literal["slots", "columns", "words"] = "slots",
        slots: Annotated[int, Field(ge=1)] = 4,
        max_length: Annotated[int, Field(ge=1)] = 500,
        heaviest: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0,
    ) -> None:
        if (function is None) == (model is None):
            raise ValueError("give either function or model")
        if model is not None and not trust:
            raise ValueError(
                "model: to load a model runs code that stands in its file; trust=true says you know where it is from"
            )
        if model is not None and view == "words":
            raise ValueError("view: a model of Stable-Baselines3 plays by rows of numbers, so slots or columns, got words")
        self.speaks = view == "words"
        self._shows, self._slots, self._max_length, self._heaviest = view, slots, max_length, heaviest
        self._named = f"policy {model or function}"
        self._model = None if model is None else _loaded(model, algorithm)
        self._function = None if function is None else code.function(function)

    def begin(self, setting: Setting) -> None:
        size = setting.population.size
        tie = ([0], [1], [self._heaviest]) if size > 1 else ([], [], [])
        # A view wants to know three things of a world, and nobody hears anything in this one.
        outline = SimpleNamespace(network=Network.from_edges(size, *tie), axes=setting.axes, choices=setting.choices)
        self._view = View(cast(World, outline), self._slots, self._max_length, text=self.speaks)
        self._low, self._high = bounds(setting.axes)
        if self._model is not None:
            columns = len(OWN) + len(setting.axes)
            shown = (columns,) if self._shows == "columns" else self._view.observation_space.shape
            for name, trained, here in (
                ("observations", self._model.observation_space.shape, shown),
                ("actions", self._model.action_space.shape, self._view.action_space.shape),
            ):
                if trained != here:
                    raise ValueError(
                        f"the model was trained on {name} of shape {trained}, and here they have {here}: axes (personas, "
                        "stances), choices, view and slots must be as in its training"
                    )

    async def act(self, observation: Observation, rng: Streams) -> Act:
        with code.guarded(self._named):
            act = self._view.read(observation.agents, self._actions(observation, rng))
        said = dict(zip(act.agents.tolist(), act.says.tolist(), strict=True))
        return replace(act, text={agent: text for agent, text in act.text.items() if text and said[agent]})

    async def ask(self, agents: NDArray[np.int64], question: Question, step: int, rng: Streams) -> dict[int, Answer]:
        """No answers: a policy acts and cannot be asked."""
        return {}

    def undergo(self, deed: Deed) -> None:
        nothing_to_undergo(self, deed)

    def _actions(self, observation: Observation, rng: Streams) -> Sequence[Any] | NDArray[Any]:
        if self._shows == "columns":
            rows = self._columns(observation)
        else:
            shown, _ = self._view.show(observation, np.ones(len(observation.agents), dtype=bool), rng)
            if self._function is not None and self.speaks:
                return [self._function(one) for one in shown]
            rows = np.stack(shown)
        if self._function is not None:
            return np.asarray(self._function(rows), dtype=np.float32)
        assert self._model is not None
        # One by one: in a batch the last digits of an action may depend on who else is in it.
        return np.stack([self._model.predict(row, deterministic=True)[0] for row in rows])

    def _columns(self, observation: Observation) -> Floats:
        """Rows as in `ArrayEnv` of those whose turn it is."""
        n = len(observation.agents)
        push = np.zeros((n, 3)) if observation.pressure is None else np.clip(observation.pressure.push, -1, 1)
        own = (np.ones(n), observation.reward, push, np.diff(observation.inbox.indptr))
        heard = np.clip(mean_read(observation.inbox), self._low, self._high)
        return np.column_stack([*own, heard]).astype(np.float32)


def _loaded(path: str, algorithm: str) -> Any:
    """The model in a file. ValueError: there is none, or Stable-Baselines3 is not installed."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise ValueError(f"model: no file at {path}")
    try:
        trainer = getattr(import_module("stable_baselines3"), algorithm)
    except ImportError as error:
        raise ValueError('model: it needs Stable-Baselines3: pip install "contagium[train]"') from error
    try:
        return trainer.load(file, device="cpu")
    except Exception as error:
        raise ValueError(f"model: {path} is no {algorithm} model: {type(error).__name__} {error!s:.200}") from error
