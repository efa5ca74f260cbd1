"""When something is called for: a sign, seen in what agents say, that has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator


@dataclass(frozen=True)
class Signs:
    """What is known of all N agents before `step`, from what the observer saw up to the step before.

    shown: axis or other measure → (N,) what each agent's latest message read as, NaN where none has been read. is_case: strain or
    state → (N,) bool, who is a case of it now. states: which of these names are states, and not strains.
    """

    step: int
    shown: Mapping[str, NDArray[np.float32]]
    is_case: Mapping[str, NDArray[np.bool_]]
    states: frozenset[str] = frozenset()


class Trigger(BaseModel):
    """A sign to wait for.

    measure: of what agents say (an axis of affect, a strain, or another measure of the observer), `above` or `below` a value; or
    case: the strain or state of which an agent is a case. share: None, each agent by itself; otherwise everybody, as soon as this
    share of all agents shows it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    measure: str | None = None
    above: Annotated[float, Field(allow_inf_nan=False)] | None = None
    below: Annotated[float, Field(allow_inf_nan=False)] | None = None
    case: str | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _one_sign(self) -> Trigger:
        if (self.measure is None) == (self.case is None):
            raise ValueError("give either measure (with above or below) or case")
        if (self.measure is not None) != ((self.above is None) != (self.below is None)):
            raise ValueError("a measure needs one of above and below, and a case neither")
        return self

    def must_be_known(self, measures: tuple[str, ...], cases: tuple[str, ...]) -> None:
        """ValueError: nothing of that name is measured (`measures`), or there are no cases of it (`cases`)."""
        for wanted, there in ((self.measure, measures), (self.case, cases)):
            if wanted is not None and wanted not in there:
                raise ValueError(f"nothing is known of {wanted!r}; there are: {', '.join(dict.fromkeys(there)) or 'none'}")

    def met(self, signs: Signs) -> NDArray[np.bool_]:
        """For whom the sign has come, (N,)."""
        if self.case is not None:
            shows = signs.is_case[self.case]
        else:
            assert self.measure is not None
            value, above, below = signs.shown[self.measure], self.above, self.below
            # What has not been read, NaN, is neither.
            shows = (value > (np.inf if above is None else above)) | (value < (-np.inf if below is None else below))
        return shows if self.share is None else np.full(len(shows), shows.mean() >= self.share)
