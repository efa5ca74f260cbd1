"""Does what an agent hears move what it shows next? Panel regression with agent and step effects.

own(i, t) = a(i) + b(t) + φ own(i, t−1) + β heard(i, t−1) + ε(i, t), where heard(i, t−1) reached the agent after its turn in t−1.
Agent effects take up lasting likeness of those who hear each other, step effects whatever strikes everybody alike. What
strikes some neighbours alike they do not: the placebo says whether there is such a thing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from contagium.sim.analysis.emotion.echo import distances, moments, nickell
from contagium.sim.analysis.emotion.panel import Floats, Ints, Panel, distinct
from contagium.sim.analysis.emotion.turns import Rows, sampled, split, stack
from contagium.sim.analysis.estimate import Estimate, unknown

FEWEST_AGENTS = 10
FEWEST_STEPS = 10
"""Steps with usable turns."""

SWEEPS, TOLERANCE = 2_000, 1e-8
SLIGHT = 1e-10
"""A smaller share of a column's variation within agents and steps is rounding."""

ALONE = 1e-4
"""A regressor of whose variation within agents and steps the others leave a smaller share cannot be told from them."""

MOST_MEETINGS = 1_000_000
"""Of more messages received, the placebo looks at every second, third, … only."""

METHOD = "agent and step effects, bias of short panels taken off, jackknife over agents"
PLACEBO = "likeness of residuals of the same step, those tied less all"
WARNING = "the placebo is not 0: not to be read as contagion"
"""The `reason` of a slope that has a value where the placebo's interval leaves 0."""


@dataclass(frozen=True)
class Fit:
    """Coefficients (K,) of regressors; what each agent adds to them (G, K); the variance it would add by its regressors alone (G,
    K, K), up to a factor; residuals (m,).
    """

    coefficient: Floats
    influence: Floats
    weight: Floats
    residual: Floats

    def estimate(self, of: Sequence[float] | Floats) -> Estimate:
        """A linear combination of the coefficients, with its 95% interval.

        Student's t; degrees of freedom: the number of agents there would be if all weighed alike, less 1 (after Carter, Schnepel
        & Steigerwald 2017).
        """
        from scipy.special import stdtrit

        weights = np.asarray(of, dtype=np.float64)
        groups = int(np.any(self.influence != 0, axis=1).sum())
        value = float(weights @ self.coefficient)
        error = float(np.sqrt((groups - 1) / groups * np.sum((self.influence @ weights) ** 2)))
        each = weights @ self.weight @ weights
        alike = float(each.sum() ** 2 / np.sum(each**2))
        reach = float(stdtrit(max(alike - 1, 1.0), 0.975)) * error
        return Estimate(value, value - reach, value + reach, METHOD, len(self.residual))


@dataclass(frozen=True)
class Lagged:
    """What moves affect from one turn to the next, on one measure.

    contagion: β, what a unit heard adds to what is shown next; its reason is `WARNING` where the placebo is not 0. inertia: φ.
    below, above: β where what was heard lay below and above what the agent itself had shown; asymmetry: below less above.
    placebo: correlation of what is left unexplained in those who hear each other, in the same step, when neither can have heard
    the other yet: where it is not 0, something else makes those tied alike. agents, steps: in use, steps of every run counted.
    of: agents that could be. unused: turns with a reading of which that of the turn before, or of what was heard then, is not
    known.
    """

    axis: str
    contagion: Estimate
    inertia: Estimate
    below: Estimate
    above: Estimate
    asymmetry: Estimate
    placebo: Estimate
    agents: int
    of: int
    steps: int
    unused: int


def lagged(panels: Sequence[Panel]) -> Lagged:
    """Panels of one measure, each of a run of its own: clusters are agents of runs, step effects are of each run."""
    every, unused = stack(panels)
    rows, echo = sampled(every), moments(panels)
    plain, parted = (_with_log(fitted(of, echo), panels) for of in (rows, split(rows)))
    alike = unknown(plain, len(rows.y), PLACEBO) if isinstance(plain, str) else placebo(panels, rows, plain.residual)
    return Lagged(
        panels[0].axis,
        _warned(_told(plain, [0, 1], rows), alike),
        _told(plain, [1], rows),
        _told(parted, [0, 1], rows),
        _told(parted, [0, 0, 1], rows),
        _told(parted, [0, 1, -1], rows),
        alike,
        rows.agents,
        every.agents,
        rows.steps,
        unused,
    )


def _with_log(fit: Fit | str, panels: Sequence[Panel]) -> Fit | str:
    """The same; why there is none tells also how much of what was heard the log does not hold."""
    partly, listened = sum(panel.partly for panel in panels), sum(panel.listened for panel in panels)
    if isinstance(fit, Fit) or not partly:
        return fit
    return f"{fit}; in {partly:,} of {listened:,} agent-steps messages were heard that are not in the log"


def _warned(slope: Estimate, alike: Estimate) -> Estimate:
    if slope.value is None or alike.low is None or alike.high is None or alike.low <= 0 <= alike.high:
        return slope
    return replace(slope, reason=WARNING)


def _told(fit: Fit | str, of: Sequence[float], rows: Rows) -> Estimate:
    if isinstance(fit, str):
        return unknown(fit, len(rows.y), METHOD)
    return fit.estimate(np.r_[of, np.zeros(len(fit.coefficient) - len(of))])


def fitted(rows: Rows, echo: Floats) -> Fit | str:
    """Least squares within agents and steps, less the bias of short panels, or why there is none. echo: of `moments`.

    With agent effects and a lag, coefficients are off by about 1/T (Nickell 1981), here also through those who answer an agent.
    The bias is worked out for the estimates and taken off, again and again until they agree (after Bun & Carree 2005). The error
    is that of leaving out one agent after the other (CR3: Bell & McCaffrey 2002), passed through the correction.
    """
    if rows.agents < FEWEST_AGENTS or rows.steps < FEWEST_STEPS:
        return (
            f"too few to say: {rows.agents} agents and {rows.steps} steps in which the readings of a turn, of the one before "
            f"and of what was heard are known; {FEWEST_AGENTS} and {FEWEST_STEPS} are needed"
        )
    columns = within(np.c_[rows.y, rows.x, rows.past], rows.agent, rows.step)
    if columns is None:
        return "the effects of agents and steps cannot be told apart in turns so sparse"
    y, x, past = columns[:, 0], columns[:, 1:-2], columns[:, -2:]
    # What else moved agents may be the same for each at all times, as for index cases: it is then in the agents' effects.
    varied = np.square(x).sum(axis=0) > SLIGHT * np.square(rows.x - rows.x.mean(axis=0)).sum(axis=0)
    kept = varied | (np.arange(x.shape[1]) < rows.asked)
    if wrong := _unfit(rows, y, x := x[:, kept], bool(varied[kept].all())):
        return wrong
    spread, size = x.T @ x, int(rows.agent.max()) + 1
    inverse = np.linalg.inv(spread)
    raw = inverse @ (x.T @ y)
    residual = y - x @ raw
    own = _sums(x[:, :, None] * x[:, None, :], rows.agent, size)
    left = spread - own
    if np.linalg.cond(left).max() > 1e12:
        return "all that varies does so in one agent, so no error can be told"
    # Without an agent, the mean of a step would miss it, too.
    spoke = np.bincount(rows.step)[rows.step]
    missed = residual * spoke / np.maximum(spoke - 1, 1)
    influence = np.linalg.solve(left, _sums(x * missed[:, None], rows.agent, size)[:, :, None])[:, :, 0]
    noise = float(residual @ residual) / (len(y) - rows.agents - rows.steps + 1 - x.shape[1])
    apart, agents = distances(rows.agent, rows.step), rows.agents
    # How each regressor moves with what was shown and heard before, on a straight line: the bias comes in through these.
    through = np.linalg.lstsq(past, x, rcond=None)[0]

    def bias(of: Floats) -> Floats:
        carried, taken = through @ of
        return noise * inverse @ (np.array(nickell(carried, taken, apart, echo, agents)) @ through)

    settled = _settled(raw, bias)
    if settled is None:
        return "the bias of so short a panel cannot be told: its correction does not settle"
    corrected, passed = settled
    return Fit(corrected, influence @ passed.T, inverse @ own @ inverse, y - x @ corrected)


def _settled(raw: Floats, bias: Callable[[Floats], Floats]) -> tuple[Floats, Floats] | None:
    """The coefficients (K,) that with their own bias make `raw`, and how they change with it (K, K); None if none are found."""
    corrected = raw
    for _ in range(200):
        corrected, before = raw - bias(corrected), corrected
        if np.abs(corrected - before).max() < 1e-6:
            break
    else:
        return None
    nudge = 1e-4
    slope = np.stack([(bias(corrected + d) - bias(corrected - d)) / (2 * nudge) for d in nudge * np.eye(len(raw))], axis=1)
    return corrected, np.asarray(np.linalg.inv(np.eye(len(raw)) + slope), dtype=np.float64)


def _unfit(rows: Rows, y: Floats, x: Floats, varied: bool) -> str | None:
    """Why nothing can be estimated from these columns within agents and steps."""
    if not varied or y @ y <= SLIGHT * np.square(rows.y - rows.y.mean()).sum():
        return "what is shown or what is heard does not vary within agents and steps, so one tells nothing of the other"
    scale = np.sqrt(np.square(x).sum(axis=0))
    if np.linalg.cond((x / scale).T @ (x / scale)) > 1 / ALONE:
        return "what is heard cannot be told from what is shown: everybody hears much the same"
    if len(y) <= rows.agents + rows.steps + x.shape[1]:
        return f"too few to say: {len(y)} turns of {rows.agents} agents in {rows.steps} steps"
    return None


def _sums(of: Floats, agent: Ints, size: int) -> Floats:
    """Sums over the rows of each agent, of an array (m, …); shape (size, …)."""
    flat = of.reshape(len(of), -1)
    total: Floats = np.stack([np.bincount(agent, column, minlength=size) for column in flat.T], axis=1)
    return total.reshape(size, *of.shape[1:])


def within(columns: Floats, agent: Ints, step: Ints) -> Floats | None:
    """Columns (m, K) less the effects of agents and of steps, by turns taking the mean of each (Guimarães & Portugal 2010).

    None if that does not settle.
    """
    groups = []
    for code in (agent, step):
        place = np.unique(code, return_inverse=True)[1]
        groups.append((place, np.bincount(place)))
    left = columns - columns.mean(axis=0)
    scale = np.maximum(np.abs(left).max(axis=0), 1e-300)
    for _ in range(SWEEPS):
        moved = 0.0
        for place, count in groups:
            for k in range(left.shape[1]):
                mean = np.bincount(place, left[:, k]) / count
                left[:, k] -= mean[place]
                moved = max(moved, float(np.abs(mean).max() / scale[k]))
        if moved < TOLERANCE:
            return left
    return None


def placebo(panels: Sequence[Panel], rows: Rows, residual: Floats) -> Estimate:
    """How alike the residuals (m,) of those who hear each other are in one step, less how alike those of any two are.

    What was said in the step an agent spoke in had not reached it. Interval: normal; without likeness, products of
    different pairs and steps are uncorrelated, so their variances add.
    """
    tied, against, variance, weight, agent0, step0 = 0.0, 0.0, 0.0, 0.0, 0, 0
    for panel in panels:
        size, steps = panel.shape
        left = np.full((size, steps), np.nan)
        mine = (rows.agent >= agent0) & (rows.agent < agent0 + size)
        left[rows.agent[mine] - agent0, rows.step[mine] - step0] = residual[mine]
        every = slice(None, None, 1 + len(panel.at) // MOST_MEETINGS)
        at, hearer, source = panel.at[every], panel.hearer[every], panel.source[every]
        low, high = np.minimum(hearer, source), np.maximum(hearer, source)
        met = distinct((at * size + low) * size + high)
        at, low, high = met // size**2, met // size % size, met % size
        product = left[low, at] * left[high, at]
        known = np.isfinite(product)
        total, squares, count = np.nansum(left, axis=0), np.nansum(left**2, axis=0), np.isfinite(left).sum(axis=0)
        any_two = (total**2 - squares) / np.maximum(count * (count - 1), 1)
        tied, weight = tied + float(product[known].sum()), weight + int(known.sum())
        against += float(any_two[at[known]].sum())
        variance += float(((product - any_two[at])[known] ** 2).sum())
        agent0, step0 = agent0 + size, step0 + steps
    if weight < FEWEST_AGENTS * FEWEST_STEPS:
        return unknown(f"too few to say: {int(weight)} pairs that hear each other and speak in one step", int(weight), PLACEBO)
    scale = weight * float(np.mean(residual**2))
    if scale <= weight * 1e-8 * float(np.var(rows.y)):
        return unknown("hardly anything is left unexplained that could be alike", int(weight), PLACEBO)
    value, reach = (tied - against) / scale, 1.96 * variance**0.5 / scale
    return Estimate(value, value - reach, value + reach, PLACEBO, int(weight))
