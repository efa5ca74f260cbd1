"""Where CPU and wall time stood after each round of something, and processes to measure it in.

The standard library alone, for it also runs beside other packages.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


class Marks:
    """Marks set after rounds of `turns` agent-turns each. What happens before the first mark (start-up, connecting) does not
    count. CPU is that of all threads of this process.
    """

    def __init__(self, turns: int) -> None:
        self._turns = turns
        self._cpu: list[float] = []
        self._wall: list[float] = []

    def set(self) -> None:
        self._cpu.append(time.process_time())
        self._wall.append(time.perf_counter())

    @property
    def cpu(self) -> float:
        """CPU milliseconds per agent-turn, over all rounds after the first mark."""
        return 1e3 * (self._cpu[-1] - self._cpu[0]) / (self._turns * (len(self._cpu) - 1))

    @property
    def walls(self) -> list[float]:
        """Wall seconds of each round after the first mark."""
        return [after - before for before, after in zip(self._wall, self._wall[1:], strict=False)]

    def row(self, name: str) -> str:
        """A row of a Markdown table: name, agents, CPU ms per agent-turn, median and longest round in s."""
        walls = self.walls
        return f"| {name} | {self._turns:,} | {self.cpu:.2f} | {statistics.median(walls):.2f} | {max(walls):.2f} |"


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()
