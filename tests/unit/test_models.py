"""Contagion models as data: what can be said, and what is refused, each in one line that names the rule and the value."""

import numpy as np
import pytest

from contagium.agents.mechanistic import models
from contagium.agents.mechanistic.contagion import ContagionModel, Progression, Shows, Transmission
from contagium.agents.mechanistic.dwell import Exponential, Fixed, Gamma, Lognormal, Weibull
from contagium.agents.mechanistic.models import seir, sir, two_strains, watts
from contagium.agents.mechanistic.response import Hill, Threshold

SPREAD = Transmission("I", "S", "I", 0.1)


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
def test_bad_rates_are_named(rate: float) -> None:
    with pytest.raises(ValueError, match=f"rate must be non-negative and finite, got {rate}"):
        sir(rate, 0.1)
    with pytest.raises(ValueError, match=f"rate must be non-negative and finite, got {rate}"):
        sir(0.1, rate)


@pytest.mark.parametrize("time", [0.0, -1.0, float("nan"), float("inf")])
def test_a_dwell_time_must_be_positive(time: float) -> None:
    for make in (Fixed, lambda t: Gamma(t, 2), lambda t: Weibull(t, 2), lambda t: Lognormal(t, 1), lambda t: Gamma(2, t)):
        with pytest.raises(ValueError, match=f"must be positive and finite, got {time}"):
            make(time)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_thresholds_are_shares(share: float) -> None:
    with pytest.raises(ValueError, match=rf"threshold must be a share in \[0, 1\], got {share}"):
        watts(share)


def test_other_bad_values_are_named() -> None:
    with pytest.raises(ValueError, match="threshold must be finite and at least 0, got -1"):
        Threshold(-1, of="weight")
    with pytest.raises(ValueError, match="of must be share or weight, got 'count'"):
        Threshold(0.1, of="count")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="half must be positive and finite, got 0"):
        Hill(0)
    with pytest.raises(ValueError, match=r"cross_immunity must be a share in \[0, 1\], got 2"):
        two_strains(cross_immunity=2)
    with pytest.raises(ValueError, match="recovery_rates must be two numbers, one a strain, got 1"):
        two_strains(recovery_rates=(0.1,))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at most 32767 transmissions, got 32768"):
        ContagionModel(("S", "I"), (SPREAD,) * 2**15)
    with pytest.raises(ValueError, match="shape of a Weibull dwell time must be at least"):
        Weibull(1, 0.01)
    with pytest.raises(ValueError, match=r"strength must be in \(0, 1\], got 0"):
        Shows("I", strength=0)
    with pytest.raises(ValueError, match="needs either a rate or a dwell time"):
        Progression("I", "R")
    with pytest.raises(ValueError, match="needs either a rate or a dwell time"):
        Progression("I", "R", 0.1, Exponential(0.1))
    with pytest.raises(ValueError, match="must lead to another compartment, got S -> S"):
        Transmission("I", "S", "S", 0.1)


def test_compartments_must_exist_differ_and_be_reached() -> None:
    with pytest.raises(ValueError, match="no compartment X: the model has S, I"):
        ContagionModel(("S", "I"), (Transmission("X", "S", "I", 0.1),))
    with pytest.raises(ValueError, match="compartments must differ, got S, I, S"):
        ContagionModel(("S", "I", "S"), (SPREAD,))
    with pytest.raises(ValueError, match="compartment R cannot be reached from S and I"):
        ContagionModel(("S", "I", "R"), (SPREAD,))
    # R is left, but nothing leads there; and a source that never is cannot bring anybody anywhere.
    with pytest.raises(ValueError, match="compartment R cannot be reached"):
        ContagionModel(("S", "I", "R"), (SPREAD,), (Progression("R", "S", 0.1),))
    with pytest.raises(ValueError, match="compartment E cannot be reached"):
        ContagionModel(("S", "E", "I"), (SPREAD, Transmission("E", "S", "E", 0.1)))
    with pytest.raises(ValueError, match="at least one transmission or progression"):
        ContagionModel(("S", "I"), ())


def test_a_layer_must_be_there() -> None:
    model = ContagionModel(("S", "I"), (Transmission("I", "S", "I", 0.1, layer="work"),))
    assert model.tables(("family", "work")).layer.tolist() == [1]
    with pytest.raises(ValueError, match="acts on layer work, but the layers are: family"):
        model.tables(("family",))
    with pytest.raises(ValueError, match="acts on layer work, but the layers are: none"):
        model.tables()


def test_seeds_are_agents_each_once_and_no_more_than_there_are() -> None:
    model = seir()
    assert model.start(4, np.array([2])).tolist() == [0, 0, 2, 0]
    assert two_strains().start(3, np.array([0]), strain=1).tolist() == [2, 0, 0]
    with pytest.raises(ValueError, match="at most 2 seeds, one an agent, got 3"):
        model.start(2, np.arange(3))
    with pytest.raises(ValueError, match="seeds must be agent ids 0 to 3, got 1 to 4"):
        model.start(4, np.array([1, 4]))
    with pytest.raises(ValueError, match="an agent is seeded twice"):
        model.start(4, np.array([1, 1]))
    for wrong in (np.array([1.5]), np.array([np.nan]), np.array([[1, 2]])):
        with pytest.raises(ValueError, match="seeds must be a list of whole numbers, got"):
            model.start(4, wrong)
    with pytest.raises(ValueError, match="index cases start with strains 0 to 0, got 1"):
        model.start(4, np.array([1]), strain=1)


def test_what_compartments_show() -> None:
    assert sir().strength(0).tolist() == [0, 1, 0]
    assert models.carrier(symptomatic_share=0.25).strength(0).tolist() == [0, 0, 0, 0.25, 1, 0]
    assert two_strains().strains == 2
    assert [two_strains().strength(k).tolist() for k in range(2)] == [[0, 1, 0, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0, 1, 0]]
