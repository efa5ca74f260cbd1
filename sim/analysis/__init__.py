"""Statistics, figures and reports of a run, all read from its event log. Each name is loaded when first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contagium.sim.analysis.adoption import adoptions, persona_scores
    from contagium.sim.analysis.affect import affect_curves
    from contagium.sim.analysis.choices import choice_slopes, felt_choices
    from contagium.sim.analysis.epidemic import attack_rate, compartment_curves, final_size, onsets, peak_prevalence
    from contagium.sim.analysis.outputs import write_outputs
    from contagium.sim.analysis.reproduction import Estimate, reproduction_number
    from contagium.sim.analysis.summary import summarise
    from contagium.sim.analysis.tree import transmission_tree

_HOMES = {
    "Estimate": "reproduction",
    "adoptions": "adoption",
    "affect_curves": "affect",
    "attack_rate": "epidemic",
    "choice_slopes": "choices",
    "compartment_curves": "epidemic",
    "felt_choices": "choices",
    "final_size": "epidemic",
    "onsets": "epidemic",
    "peak_prevalence": "epidemic",
    "persona_scores": "adoption",
    "reproduction_number": "reproduction",
    "summarise": "summary",
    "transmission_tree": "tree",
    "write_outputs": "outputs",
}

__all__ = [
    "Estimate",
    "adoptions",
    "affect_curves",
    "attack_rate",
    "choice_slopes",
    "compartment_curves",
    "felt_choices",
    "final_size",
    "onsets",
    "peak_prevalence",
    "persona_scores",
    "reproduction_number",
    "summarise",
    "transmission_tree",
    "write_outputs",
]


def __getattr__(name: str) -> Any:
    """A statistic by its name, from the module that holds it. AttributeError: any other name (PEP 562)."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
