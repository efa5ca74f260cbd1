"""Compiling loops over arrays to machine code, which is kept on disk so that later starts are fast."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Decorator: `function` compiled by numba, without the interpreter's lock. options: of `numba.njit`.

    numba looks at a function's own file to see whether the code kept is still right, and would go on with old machine code of the
    parts that come from other files. Here a change of any file beside it or in the folder above counts.
    """
    from numba import njit  # takes a third of a second, which a run without kernels need not spend

    if function is None:
        return lambda inner: kernel(inner, **options)
    made: Any = njit(cache=True, nogil=True, **options)(function)
    made._cache._cache_file._source_stamp = stamp(Path(inspect.getfile(function)).parent)
    return made


@cache
def stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What tells one state of the Python files in a folder and the one above from another: path, last change and size of each."""
    files = sorted(path for place in (folder, folder.parent) for path in place.glob("*.py"))
    return tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files)


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, a loop over arrays, as machine code that does the same, for large populations: a small run does without."""
    made: Callable[..., Any] = kernel(function)
    return made
