"""An experiment as its file states it: a committed comparison of arms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contagium.sim.build import first_error
from contagium.sim.commandline import UserError

Sign = Literal["+", "-", "0", "?"]
"""More than in the baseline, less, no difference; not known beforehand."""

Arm = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
Overrides = tuple[str, ...]


class Experiment(BaseModel):
    """hypothesis: rows of the list of hypotheses, e.g. H10. rationale: why, in a paragraph. baseline: the arm to compare with.

    arms: name → what it sets, as on the command line. common: what all of them set. fast: what they set besides in the fast form,
    which takes seconds and no language model. outcomes: name (docs/comparing.md) → sign expected of an arm less the baseline; the
    first is the main one. replicates: runs an arm, of the seeds 1, 2, … in every arm. cost: what the full form takes.

    What is chosen at the terminal: form: which is run. parallel: runs at once, None: one a core, or one alone where runs bring a
    model of their own; launchers of Hydra's have settings of their own. reports: write summary, report and figures of every run,
    which takes seconds each; None: in the full form. only: arms to run, None: all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hypothesis: Annotated[tuple[Annotated[str, Field(pattern=r"^H[1-9]\d*$")], ...], Field(min_length=1)]
    rationale: Annotated[str, Field(min_length=1)]
    baseline: Arm
    arms: Annotated[dict[Arm, Overrides], Field(min_length=2)]
    common: Overrides = ()
    fast: Overrides
    outcomes: Annotated[dict[str, dict[Arm, Sign]], Field(min_length=1)]
    replicates: Annotated[int, Field(ge=1)] = 8
    cost: Annotated[str, Field(min_length=1)]
    form: Literal["full", "fast"] = "full"
    parallel: Annotated[int, Field(ge=1)] | None = None
    reports: bool | None = None
    only: Annotated[tuple[Arm, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _arms_are_there(self) -> Experiment:
        named = [("baseline", self.baseline), *(("only", arm) for arm in self.only or ())]
        named += [(f"outcomes.{name}", arm) for name, signs in self.outcomes.items() for arm in signs]
        for key, arm in named:
            if arm not in self.arms:
                raise ValueError(f"{key}: no arm {arm}; there are: {', '.join(self.arms)}")
        for name, signs in self.outcomes.items():
            if self.baseline in signs:
                raise ValueError(f"outcomes.{name}: {self.baseline} is the baseline, nothing can be expected of it less itself")
        return self

    @property
    def seeds(self) -> range:
        return range(1, self.replicates + 1)

    @property
    def reported(self) -> bool:
        return self.form == "full" if self.reports is None else self.reports

    @property
    def run(self) -> dict[str, Overrides]:
        """The arms to run, the baseline first and always among them."""
        wanted = (self.baseline, *(arm for arm in self.arms if arm != self.baseline))
        return {arm: self.arms[arm] for arm in wanted if self.only is None or arm in (self.baseline, *self.only)}


def make_experiment(composed: object) -> Experiment:
    """UserError says in one line what is wrong with the file, or with what was changed in it."""
    try:
        return Experiment.model_validate(composed)
    except ValidationError as error:
        line = first_error(error)
        raise UserError(f"experiment.{line}") from error
