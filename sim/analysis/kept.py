"""What several statistics need of one run is computed once."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from contagium.sim.reading import Run

P = ParamSpec("P")
T = TypeVar("T")


def kept(function: Callable[Concatenate[Run, P], T]) -> Callable[Concatenate[Run, P], T]:
    """The function of a run and of some plain values, whose result is kept as long as the run is. Nobody may change it."""
    known: weakref.WeakKeyDictionary[Run, dict[object, T]] = weakref.WeakKeyDictionary()
    signature = inspect.signature(function)

    @functools.wraps(function)
    def remembering(run: Run, *given: P.args, **named: P.kwargs) -> T:
        results = known.setdefault(run, {})
        bound = signature.bind(run, *given, **named)
        bound.apply_defaults()  # what is left out is what is said outright
        key = bound.args[1:]
        if key not in results:
            results[key] = function(run, *given, **named)
        return results[key]

    return remembering
