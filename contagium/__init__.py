"""Contagium: what spreads when language-model agents talk to each other, and what stops it.

The floors are `envs`, `agents`, `sim` and `conf`. `open_run` and `analysis` are loaded on first use, so that
`import contagium` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contagium.sim import analysis
    from contagium.sim.log import open_run

__all__ = ["__version__", "analysis", "open_run"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The two names a notebook starts from. AttributeError: any other name (PEP 562)."""
    if name == "open_run":
        return import_module("contagium.sim.log").open_run
    if name == "analysis":
        return import_module("contagium.sim.analysis")
    raise AttributeError(f"module 'contagium' has no attribute {name!r}")
