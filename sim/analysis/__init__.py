"""Statistics, figures and reports of a run, all read from its event log. Each name is loaded when first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contagium.sim.analysis.causes.contagion import contagion
    from contagium.sim.analysis.emotion.affect import affect_curves
    from contagium.sim.analysis.emotion.choices import choice_slopes, felt_choices
    from contagium.sim.analysis.emotion.contagion import emotional_contagion
    from contagium.sim.analysis.estimate import Estimate
    from contagium.sim.analysis.fit.hazard import hazard
    from contagium.sim.analysis.outputs import write_outputs
    from contagium.sim.analysis.spread.adoption import adoptions, persona_scores
    from contagium.sim.analysis.spread.course import course
    from contagium.sim.analysis.spread.epidemic import attack_rate, compartment_curves, final_size, onsets, peak_prevalence
    from contagium.sim.analysis.spread.replicates import replicates
    from contagium.sim.analysis.summary import summarise
    from contagium.sim.analysis.trees.reproduction import reproduction_number
    from contagium.sim.analysis.trees.transmission import transmission
    from contagium.sim.analysis.trees.tree import transmission_tree

_HOMES = {
    "Estimate": "estimate",
    "adoptions": "spread.adoption",
    "affect_curves": "emotion.affect",
    "attack_rate": "spread.epidemic",
    "choice_slopes": "emotion.choices",
    "compartment_curves": "spread.epidemic",
    "contagion": "causes.contagion",
    "course": "spread.course",
    "emotional_contagion": "emotion.contagion",
    "felt_choices": "emotion.choices",
    "final_size": "spread.epidemic",
    "hazard": "fit.hazard",
    "onsets": "spread.epidemic",
    "peak_prevalence": "spread.epidemic",
    "persona_scores": "spread.adoption",
    "replicates": "spread.replicates",
    "reproduction_number": "trees.reproduction",
    "summarise": "summary",
    "transmission": "trees.transmission",
    "transmission_tree": "trees.tree",
    "write_outputs": "outputs",
}

__all__ = [
    "Estimate",
    "adoptions",
    "affect_curves",
    "attack_rate",
    "choice_slopes",
    "compartment_curves",
    "contagion",
    "course",
    "emotional_contagion",
    "felt_choices",
    "final_size",
    "hazard",
    "onsets",
    "peak_prevalence",
    "persona_scores",
    "replicates",
    "reproduction_number",
    "summarise",
    "transmission",
    "transmission_tree",
    "write_outputs",
]


def __getattr__(name: str) -> Any:
    """A statistic by its name, from the module that holds it. AttributeError: any other name (PEP 562)."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
