"""Machine code kept on disk is used while every source it may come from is as it was, and no longer."""

import os
from pathlib import Path

import numpy as np

from contagium.agents.mechanistic.engine import race
from contagium.envs.compiled import compiled, kernel, stamp


def _sum(values: np.ndarray) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


def test_a_kernel_does_what_its_source_says() -> None:
    values = np.random.default_rng(1).random(100)
    assert compiled(_sum)(values) == kernel(_sum)(values) == _sum(values)


def test_a_change_in_any_file_beside_or_above_is_another_state(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    beside, above = inner / "a.py", tmp_path / "b.py"
    states = set()
    for file, text in ((beside, "1"), (above, "1"), (beside, "12"), (above, "12")):
        file.write_text(text)
        stamp.cache_clear()
        states.add(stamp(inner))
    os.utime(above, ns=(1, 1))
    stamp.cache_clear()
    states.add(stamp(inner))
    assert len(states) == 5
    stamp.cache_clear()


def test_kernels_carry_the_state_of_all_they_may_come_from() -> None:
    """numba alone looks at the file of the function only, and would go on with old code of what it calls."""
    held = race.race._cache._cache_file._source_stamp
    names = {Path(name).name for name, _, _ in held}
    assert {"race.py", "forward.py", "kernels.py", "dwell.py"} <= names
