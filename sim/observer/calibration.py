"""Thresholds from data instead of taste: what a persona's readings are where it is known to be absent, or present.

As a command: `python -m contagium.sim.observer.calibration LABELLED.csv|RUN_DIR…`; docs/validation.md explains what it finds.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.agents.backends.backend import Backend
from contagium.agents.persona import Detection, Persona
from contagium.agents.weights import WeightsError
from contagium.envs.message import Axes, Messages
from contagium.sim.build import ScenarioError, build
from contagium.sim.log import LogError, open_run
from contagium.sim.observer.agreement import Measured
from contagium.sim.observer.instrument import MESSAGE, Briefing, Instrument, Material
from contagium.sim.observer.roc import CalibrationError, Floats, Marks, Threshold, auc, marks, threshold_at


@dataclass(frozen=True)
class Labelled:
    """Texts of which it is known whether a persona is there. sha256: of the whole file. present: (n,)."""

    source: str
    sha256: str
    texts: tuple[str, ...]
    present: NDArray[np.bool_]


@dataclass(frozen=True)
class Readout:
    """What an instrument read on a set: value (n,), NaN where it failed; label (n,), whether the persona is there.

    source: name of the set. sha256: of the labelled file, or of the readings themselves.
    """

    source: str
    sha256: str
    value: Floats
    label: NDArray[np.bool_]


@dataclass(frozen=True)
class Calibration:
    """Thresholds of one instrument for one persona, and what they rest on. marks, area: None where the set has no positives."""

    instrument: str
    persona: str
    source: str
    enter: Threshold
    stay: Threshold
    failed: int
    marks: Marks | None
    area: Measured | None

    @property
    def detection(self) -> Detection:
        rate = self.enter.reached.value
        return Detection(
            enter=self.enter.value, stay=self.stay.value, false_positive_rate=round(rate or 0.0, 4), calibration=self.source
        )


def calibrate(instrument: str, persona: str, read: Readout, rate: float = 0.01, stay_rate: float | None = None) -> Calibration:
    """`enter` where at most `rate`, `stay` where at most `stay_rate` of the readings without the persona lie.

    stay_rate: None for five times the rate, at most one half.
    """
    absent = read.value[~read.label]
    enter = threshold_at(absent, rate)
    stay = threshold_at(absent, max(rate, min(5 * rate, 0.5)) if stay_rate is None else stay_rate)
    if stay.wanted < rate:
        raise CalibrationError(f"stay-rate must be at least rate ({rate:g}), got {stay.wanted:g}: stay lies below enter")
    source = f"{read.source}, sha256 {read.sha256[:16]}: {said(enter)} of texts without it"
    both = bool(read.label.any())
    found = marks(read.value, read.label, enter.value) if both else None
    area = auc(read.value, read.label) if both else None
    return Calibration(instrument, persona, source, enter, stay, int(np.isnan(read.value).sum()), found, area)


def said(threshold: Threshold) -> str:
    """`1 of 248 (0.4%, 95% interval 0.1% to 2.2%)`."""
    r = threshold.reached
    return f"{threshold.count} of {r.n} ({r.value:.1%}, 95% interval {r.low:.1%} to {r.high:.1%})"


def read_labelled(path: Path) -> pd.DataFrame:
    """A labelled set: columns `text` and `label`, and whatever else, as text; an empty cell is an empty string."""
    if not path.exists():
        raise CalibrationError(f"no such file: {path}")
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise CalibrationError(f"{path} is not a CSV file: {' '.join(str(error).split())}") from error
    missing = [column for column in ("text", "label") if column not in frame]
    if missing:
        raise CalibrationError(f"{path} has no column {missing[0]}; it has: {', '.join(map(str, frame.columns))}")
    return frame


def labelled(path: Path, label: str, split: str | None = None, against: str | None = None) -> Labelled:
    """The texts of a labelled file; the persona is there where `label` stands.

    split: only rows of it, where there is a column `split`. against: of the texts without the persona only those with this label.
    """
    frame, source = read_labelled(path), path.name
    if split and "split" in frame:
        frame, source = frame[frame["split"] == split], f"{path.name} ({split})"
    labels = sorted(set(frame["label"]))
    if against:
        frame, source = frame[frame["label"].isin((label, against))], f"{source}, {against}"
    present = (frame["label"] == label).to_numpy()
    if present.all() or not present.any():
        there = f"; its labels are {', '.join(labels[:12])}{', …' * (len(labels) > 12)}" if labels else ""
        raise CalibrationError(
            f"{source} needs texts with the label {label} and without it, got {present.sum()} of {len(present)}{there}"
        )
    return Labelled(source, hashlib.sha256(path.read_bytes()).hexdigest(), tuple(frame["text"]), present)


async def from_labelled(texts: Labelled, instrument: Instrument, persona: str) -> Readout:
    """What an instrument that has begun reads of a persona in a labelled set."""
    columns = await read_texts(instrument, texts.texts, Axes((persona,)))
    if persona not in columns:
        raise CalibrationError(f"{instrument.name} has no column {persona}; it has: {', '.join(columns) or 'none'}")
    return Readout(texts.source, texts.sha256, columns[persona], texts.present)


def from_controls(directories: Sequence[Path], instrument: str, persona: str) -> Readout:
    """Readings of runs in which nobody began with a persona, so that each is one of its absence."""
    parts = []
    for directory in directories:
        run = open_run(directory)
        try:
            if run.meta["index_agents"]:
                raise CalibrationError(f"{directory} has index cases, so it is no control run; run one with seeding.count=0")
            values = run.read(instrument, persona)["value"].to_numpy()
            if not len(values):
                raise CalibrationError(f"{directory} has no readings of {instrument} on {persona}")
        finally:
            run.close()
        parts.append(values)
    value = np.concatenate(parts)
    source = f"{len(parts)} control run{'s' if len(parts) > 1 else ''}"
    return Readout(source, hashlib.sha256(value.tobytes()).hexdigest(), value, np.zeros(len(value), dtype=bool))


async def read_texts(instrument: Instrument, texts: Sequence[str], axes: Axes) -> dict[str, Floats]:
    """What an instrument that has begun reads in n texts, taken as messages: column → (n,), NaN where it failed."""
    n = len(texts)
    ids, none = np.arange(n), np.full(n, -1)
    unknown = np.full((n, len(axes)), np.nan, dtype=np.float32)
    messages = Messages(ids, ids, np.zeros(n, np.int64), np.zeros(n, np.int8), ids, none, unknown, dict(enumerate(texts)))
    columns: dict[str, Floats] = {}
    for readings in await instrument.read(Material(0, messages)):
        for k, column in enumerate(readings.columns if readings.channel == MESSAGE else ()):
            columns.setdefault(column, np.full(n, np.nan))[readings.ids] = readings.values[:, k]
    return columns


def as_yaml(found: Calibration) -> str:
    """The block to paste into the persona's YAML."""
    import yaml

    block: dict[str, Any] = found.detection.model_dump()
    return str(yaml.safe_dump({"detection": {found.instrument: block}}, sort_keys=False, width=1000, allow_unicode=True))


def configuration(persona: str, overrides: Sequence[str] = ()) -> tuple[dict[str, dict[str, Any]], Persona]:
    """What the configuration says of instruments, by name, and a persona. overrides: as on the command line of `contagium`."""
    from hydra import compose, initialize_config_module
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_module(config_module="contagium.conf", version_base="1.3"):
            whole = compose("config", overrides=[f"persona={persona}", *overrides])
        found = Persona.model_validate(OmegaConf.to_container(whole.persona, resolve=True))
        specs: Any = OmegaConf.to_container(whole.observer, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise CalibrationError(str(error).splitlines()[0]) from error
    return {name: spec for name, spec in specs["instruments"].items() if spec}, found


def begun(name: str, specs: Mapping[str, dict[str, Any]], persona: Persona, backends: Mapping[str, Backend]) -> Instrument:
    """The instrument of that name, told of the persona. backends: what it may ask."""
    if name not in specs:
        raise CalibrationError(f"no instrument {name}; the observer has: {', '.join(specs)}")
    if specs[name].get("backend") and not backends:
        raise CalibrationError(f"{name} asks a language model: calibrate it on control runs, whose log has what it read")
    spec = {key: value for key, value in specs[name].items() if key != "backend"}
    instrument: Instrument = build(spec, f"observer.instruments.{name}", name=name)
    instrument.begin(Briefing(Axes((persona.name,)), (persona,), backends=backends))
    return instrument


def report(found: Calibration) -> str:
    """What the calibration rests on as comment lines, then the YAML block."""
    lines = [
        f"enter: {said(found.enter)} of the texts without the persona reach it",
        f"stay: {said(found.stay)} do",
    ]
    if found.enter.reached.n * found.enter.wanted < 1:
        lines.append(f"too few texts to see a rate of {found.enter.wanted:g}: look at the upper end of the interval")
    if found.marks and found.area:
        recall, precision = found.marks.recall, found.marks.precision
        lines.append(f"area under the ROC curve: {_in_words(found.area, '.3f')}")
        lines.append(f"recall at enter: {_in_words(recall, '.1%')}; precision: {_in_words(precision, '.1%')}")
    if found.failed:
        lines.append(f"{found.failed} texts could not be read and are left out")
    return "\n".join(f"# {line}" for line in lines) + "\n" + as_yaml(found)


def _in_words(measured: Measured, form: str) -> str:
    if measured.value is None:
        return measured.reason or "none"
    span = "" if measured.low is None else f" (95% interval {measured.low:{form}} to {measured.high:{form}})"
    return f"{measured.value:{form}}{span}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the thresholds of an instrument for a persona as YAML; status 2 where there are none to be had."""
    parser = argparse.ArgumentParser(
        prog="python -m contagium.sim.observer.calibration",
        description="Set an instrument's thresholds for a persona at a stated rate of false positives, and print them as YAML "
        "for the persona's file.",
        epilog="A labelled set is a CSV file with the columns text and label; rows with the persona's name as label show it, all "
        "others do not. Control runs are runs with seeding.count=0. Thresholds hold for texts like those they were set on.",
    )
    parser.add_argument("source", nargs="+", type=Path, metavar="LABELLED.csv|RUN_DIR")
    parser.add_argument("--instrument", default="direction", help="name in observer.instruments (default: %(default)s)")
    parser.add_argument("--persona", default="spiral", help="file in conf/persona, and its axis (default: %(default)s)")
    parser.add_argument("--label", help="label of texts that show the persona (default: its name)")
    parser.add_argument(
        "--against", metavar="LABEL", help="count false positives among texts of this label (default: all others)"
    )
    parser.add_argument("--rate", type=float, default=0.01, help="share of false positives at enter (default: %(default)s)")
    parser.add_argument("--stay-rate", type=float, help="the same at stay (default: five times the rate)")
    parser.add_argument("--split", default="calibrate", help="rows used where there is a column split (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a configuration key")
    chosen = parser.parse_args(arguments)
    try:
        print(report(_calibrated(chosen)), end="")
    except (CalibrationError, ScenarioError, WeightsError, LogError, OSError, ValueError) as error:
        print(f"contagium: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _calibrated(chosen: argparse.Namespace) -> Calibration:
    files = [path for path in chosen.source if not path.is_dir()]
    if not files:
        read = from_controls(chosen.source, chosen.instrument, chosen.persona)
    elif len(chosen.source) > 1:
        raise CalibrationError("either one labelled file or directories of control runs")
    else:
        texts = labelled(files[0], chosen.label or chosen.persona, chosen.split, chosen.against)
        specs, persona = configuration(chosen.persona, chosen.set)
        read = asyncio.run(from_labelled(texts, begun(chosen.instrument, specs, persona, {}), persona.name))
    return calibrate(chosen.instrument, chosen.persona, read, chosen.rate, chosen.stay_rate)


if __name__ == "__main__":
    sys.exit(main())
