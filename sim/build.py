"""From a piece of configuration with `_target_` to an object: an extension is one file and one YAML."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

PARTS = (
    "contagium.agents.archived",
    *(f"contagium.agents.backends.{name}" for name in ("llama", "openai", "parrot", "replay")),
    "contagium.agents.learning",
    "contagium.agents.mechanistic",
    "contagium.agents.memory",
    "contagium.agents.retrieval",
    "contagium.agents.scripted",
    "contagium.agents.speaking",
    "contagium.agents.strategies",
    "contagium.envs",
    "contagium.sim.analysis.fit.compose",
    "contagium.sim.counterfactual.reseeded",
    "contagium.sim.harvest",
    "contagium.sim.intervention",
    "contagium.sim.observer.instruments",
    "contagium.sim.observer.language.meaning",
)
"""Modules, and packages, whose classes and functions are parts of scenarios. Elsewhere some write files or start programs."""

FOREIGN = ("contagium.envs.foreign",)
"""Of ours, but they run what their settings name: a stored scenario must be trusted for them as for other people's code."""

TRUST = "CONTAGIUM_TRUST"
"""Environment variable: the user's own packages that stored scenarios may name as well, with commas between them."""


class ScenarioError(ValueError):
    """A scenario that cannot be run: one line that names the key, the rule and the value."""


def build(spec: Mapping[str, Any], where: str, **context: Any) -> Any:
    """Call the class or function that `spec["_target_"]` names with the other keys as arguments.

    where: key of the configuration, for messages. context: arguments the laboratory provides; a target takes those it names.
    Arguments are checked against the target's annotations; those that hold a `_target_` are built first. ScenarioError says what
    does not fit.
    """
    target = _locate(spec.get("_target_"), where)
    given = {
        key: build(value, f"{where}.{key}") if isinstance(value, Mapping) and "_target_" in value else value
        for key, value in spec.items()
        if key != "_target_"
    }
    try:
        parameters = inspect.signature(target).parameters
    except (ValueError, TypeError) as error:
        raise ScenarioError(f"{where}._target_: {spec['_target_']} does not say what it takes: {error}") from error
    offered = {key: value for key, value in context.items() if key in parameters}
    settings = [name for name in parameters if name not in context]
    for key in given:
        if key not in settings:
            raise ScenarioError(f"{where}.{key}: no such setting; {target.__name__} has: {', '.join(settings) or 'none'}")
    checked = _check(target, {name: parameters[name] for name in settings}, given, where)
    try:
        return target(**offered, **checked)
    except ValidationError as error:
        raise ScenarioError(first_error(error, where)) from error
    except (ValueError, TypeError) as error:
        raise ScenarioError(str(error) if str(error).startswith(where) else f"{where}: {error}") from error


def must_be_ours(spec: object, where: str = "") -> None:
    """ScenarioError where a stored scenario names a `_target_` that is neither a part of ours nor of a package in `TRUST`.

    For all that was read from the directory of a run: it may come from anybody, and to build a target is to call it. where: key
    of the configuration, for messages.
    """
    trusted = tuple(f"{name.strip()}." for name in os.environ.get(TRUST, "").split(",") if name.strip())
    for key, target in _targets(spec, where):
        if not isinstance(target, str) or not (target.startswith(trusted) or _is_ours(target)):
            raise ScenarioError(
                f"{key}: {repr(target)[:80]} is no part of Contagium, and a stored scenario may come from anybody: it is not run "
                f"unless its package is named in the environment variable {TRUST}"
            )


def _targets(spec: object, where: str) -> Iterator[tuple[str, object]]:
    """Each `_target_` anywhere in a specification, with its key."""
    left = [(where, spec)]
    while left:
        at, part = left.pop()
        if isinstance(part, Mapping):
            named = [(f"{at}.{_plain(key)}".lstrip("."), value) for key, value in part.items()]
            yield from (one for one, key in zip(named, part, strict=True) if key == "_target_")
            left += named
        elif isinstance(part, (list, tuple)):
            left += [(f"{at}.{k}", value) for k, value in enumerate(part)]


def _plain(key: object) -> str:
    return key if isinstance(key, str) and key.isidentifier() else repr(key)[:40]


def _is_ours(target: str) -> bool:
    """Whether a target is a public part of ours, not something that one of our modules imports from elsewhere."""
    module, _, name = target.rpartition(".")
    if not _within(module, PARTS) or _within(module, FOREIGN) or name.startswith("_"):
        return False
    with suppress(ScenarioError):  # what is not there cannot be called, and `build` says so
        home = str(getattr(_locate(target, ""), "__module__", ""))
        return home.startswith("contagium.") and not _within(home, FOREIGN)
    return True


def _within(module: str, parts: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{part}.") for part in parts)


def _locate(path: object, where: str) -> Callable[..., Any]:
    if not isinstance(path, str) or "." not in path:
        raise ScenarioError(f"{where}._target_: expected package.module.Name, got {path!r}")
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ScenarioError(f"{where}._target_: cannot import {path}: {error}") from error
    if not callable(found):
        raise ScenarioError(f"{where}._target_: {path} is not a class or function")
    return found


def _check(
    target: Callable[..., Any], parameters: Mapping[str, inspect.Parameter], given: dict[str, Any], where: str
) -> dict[str, Any]:
    """The given arguments, converted and checked against the target's annotations."""
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), ... if p.default is inspect.Parameter.empty else p.default) for name, p in parameters.items()
    }
    model = create_model(target.__name__, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **fields)
    try:
        checked = model(**given)
    except ValidationError as error:
        raise ScenarioError(first_error(error, where)) from error
    return {name: getattr(checked, name) for name in given}


def first_error(error: ValidationError, where: str = "") -> str:
    """The first complaint of a pydantic error as one line: key, rule, value.

    A value under a key that does not exist is not repeated: who knows what was put there.
    """
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in (where, *first["loc"]) if part != "")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"{key}: no such key{more}"
    if first["type"] == "missing":
        return f"{key}: {first['msg'].lower()}{more}"
    if first["type"] == "value_error":
        # A rule of this laboratory: it names its value, and, where it is about the whole, its key.
        rule = str(first["ctx"]["error"])
        return f"{key}: {rule}{more}" if key else f"{rule}{more}"
    shown = repr(first["input"])
    return f"{key}: {first['msg']}, got {shown if len(shown) <= 80 else shown[:77] + '…'}{more}"
