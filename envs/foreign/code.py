"""Code that is not ours: found by name, kept to its word, and its observations told in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Dict, Discrete, Tuple
from numpy.typing import NDArray

MASK = "action_mask"
"""Where PettingZoo's environments say which actions are legal: in a dictionary of observations, or in the info."""

NUMBERS, LONGEST = 64, 2000
"""Of an array so many numbers are told, of an observation so many characters."""


class ForeignError(RuntimeError):
    """Code that is not ours has failed or does what it must not: one line."""


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Whatever code that is not ours raises, as a ForeignError of one line. what: whose code, for the message."""
    try:
        yield
    except ForeignError as error:
        raise ForeignError(f"{what}: {error}") from error
    except Exception as error:
        lines = str(error).splitlines()
        raise ForeignError(f"{what} raised {type(error).__name__}{': ' + lines[0] if lines else ''}") from error


def located(path: str) -> Any:
    """What `path` names: a module, or something in one. ValueError: there is none, or it needs what is not installed."""
    try:
        return import_module(path)
    except ImportError as error:
        module, _, name = path.rpartition(".")
        if not (isinstance(error, ModuleNotFoundError) and error.name and module and f"{path}.".startswith(f"{error.name}.")):
            raise ValueError(f"cannot import {path}: {error}") from error
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot import {path}: {error}") from error


def function(path: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function that `path` names, as package.module.function. ValueError: it is none."""
    found = located(path) if isinstance(path, str) else path
    if not callable(found):
        raise ValueError(f"{path} is not a function")
    return found


def words(space: Space[Any], seen: Any) -> str:
    """An observation in words, one line. Of an array the first `NUMBERS` numbers are told, and how many there are."""
    match space:
        case Dict():
            told = "; ".join(f"{key}: {words(part, seen[key])}" for key, part in space.spaces.items() if key != MASK)
        case Tuple():
            told = "; ".join(words(part, one) for part, one in zip(space.spaces, seen, strict=True))
        case Discrete():
            told = f"{int(seen)} (of {space.start} to {space.start + space.n - 1})"
        case _:
            told = printable(seen) if isinstance(seen, str) else _numbers(np.asarray(seen))
    return told if len(told) <= LONGEST else f"{told[:LONGEST]} …"


def _numbers(seen: NDArray[Any]) -> str:
    whole = seen.dtype == bool or np.issubdtype(seen.dtype, np.integer)
    if not (whole or np.issubdtype(seen.dtype, np.floating)):
        return printable(str(seen.tolist()))
    told = seen.astype(int) if whole else np.round(seen.astype(float), 3)
    if seen.size <= NUMBERS:
        return str(told.tolist())
    shape = " × ".join(map(str, seen.shape))
    return f"{', '.join(f'{x:g}' for x in told.reshape(-1)[:NUMBERS].tolist())}, … ({shape} numbers in all)"


def printable(text: str) -> str:
    """The text in one line, with a space for whatever is not printable."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
