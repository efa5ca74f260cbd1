"""A contagion model and a law of affect as the rules of a crowd."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from contagium.agents.mechanistic.affect import Affect
from contagium.agents.mechanistic.contagion import ContagionModel
from contagium.agents.mechanistic.coupling import SHARPEST
from contagium.agents.mechanistic.crowd.kernels import KIND_BITS, Rules
from contagium.agents.mechanistic.dwell import Exponential
from contagium.agents.mechanistic.response import Linear

UNSUPPORTED = {"appraisal": 1.0, "activity": 1.0}
"""Mechanisms of affect a crowd does not have, and the value at which they are off. Reappraisal is off if one of its two is 0."""

Move = tuple[int, int]


def rules(
    model: ContagionModel, layers: tuple[str, ...], law: Affect, dt: float, sway: tuple[float, float, float], exact: bool
) -> Rules:
    """The options of each compartment, and the kinds of source: compartments that do the same to everybody are one kind.

    ValueError: what a crowd cannot run, by name.
    """
    _check(model, law, dt, sway)
    base, kinds = _moves(model, layers)
    if not exact:
        _check_signals(len(kinds), any(layer >= 0 for layer, _ in kinds))
    options, codes = sorted(base), len(model.compartments)
    member, slope = np.zeros((len(kinds), codes)), np.zeros((len(options), len(kinds)))
    bits = np.zeros(codes, dtype=np.uint32)
    for k, ((_, effect), sources) in enumerate(kinds.items()):
        member[k, sources] = 1.0
        bits[sources] |= np.uint32(1 << KIND_BITS[k % len(KIND_BITS)])
        for move, rate in effect:
            slope[options.index(move), k] = rate * dt
    return Rules(
        first=np.searchsorted([origin for origin, _ in options], np.arange(codes + 1)).astype(np.int64),
        target=np.array([target for _, target in options], dtype=np.int8),
        base=np.array([base[move] * dt for move in options], dtype=np.float64),
        slope=slope,
        member=member,
        layer=np.array([layer for layer, _ in kinds], dtype=np.int8),
        bits=bits,
        relaxation=np.float32(law.relaxation),
        contagion=np.float32(law.contagion),
        colouring=np.float32(law.colouring),
        sway=np.array(sway, dtype=np.float64),
    )


def _check(model: ContagionModel, law: Affect, dt: float, sway: tuple[float, float, float]) -> None:
    if not 0 < dt < np.inf:
        raise ValueError(f"dt must be positive and finite, got {dt}")
    if len(sway) != 3 or not np.all(np.abs(sway) <= SHARPEST):
        raise ValueError(f"sway must be three numbers in [-{SHARPEST:g}, {SHARPEST:g}], got {sway}")
    for t in model.transmissions:
        if not isinstance(t.response, Linear):
            raise ValueError(f"a crowd runs linear responses only, but {t.origin} -> {t.target} has {t.response}")
    for p in model.progressions:
        if not isinstance(p.waits, Exponential):
            raise ValueError(f"a crowd runs exponential dwell times only, but {p.origin} -> {p.target} has {p.waits}")
    for name, off in UNSUPPORTED.items():
        if getattr(law, name) != off:
            raise ValueError(f"a crowd has no {name}: it must be {off}, got {getattr(law, name)}")
    if law.regulation > 0 and law.effort > 0:
        raise ValueError(f"a crowd has no reappraisal: regulation or effort must be 0, got {law.regulation} and {law.effort}")


def _check_signals(kinds: int, layered: bool) -> None:
    if layered:
        raise ValueError("signals tell no layers apart: a model with transmissions on a layer needs exact=True")
    if kinds > len(KIND_BITS):
        raise ValueError(f"signals tell {len(KIND_BITS)} kinds of source apart: a model with {kinds} needs exact=True")


def _moves(
    model: ContagionModel, layers: tuple[str, ...]
) -> tuple[dict[Move, float], dict[tuple[int, frozenset[tuple[Move, float]]], list[int]]]:
    """Every move with its rate of coming by itself; every kind of source, (layer, moves it causes with rates), with its codes."""
    tables = model.tables(layers)
    base: dict[Move, float] = defaultdict(float)
    for origin, target, rate in zip(tables.begins.tolist(), tables.leads.tolist(), tables.c.tolist(), strict=True):
        base[origin, target] += rate
    causes: dict[tuple[int, int], dict[Move, float]] = defaultdict(lambda: defaultdict(float))
    columns = (tables.layer, tables.source, tables.origin, tables.target, tables.rate)
    for layer, source, origin, target, rate in zip(*(column.tolist() for column in columns), strict=True):
        if rate > 0:
            causes[layer, source][origin, target] += rate
            base[origin, target] += 0.0
    kinds: dict[tuple[int, frozenset[tuple[Move, float]]], list[int]] = defaultdict(list)
    for (layer, source), effect in causes.items():
        kinds[layer, frozenset(effect.items())].append(source)
    return base, kinds
