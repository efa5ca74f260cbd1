"""A bank of texts from the log of a run: mechanistic agents speak as the speaking ones of that run did."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd

from contagium.agents.mechanistic.bank import Bank
from contagium.sim.log import LogError, Run, open_run
from contagium.sim.observer.observer import STATED, as_stated


def harvest(path: Path, nearest: int = 5) -> Bank:
    """The different texts said in the run at `path` (its directory or its run.db), each where its words were read.

    The readings are those that stood for each axis in that run, best first, but for what the sender stated outright: that tells
    what an agent meant, not how its words read. A strain is on the scale of outright expressions, by the thresholds of that run.
    A text nothing could read is left out. ValueError says in one line what is wrong: no run there, a log that cannot be read, no
    text that has been read.
    """
    try:
        with closing(open_run(path.expanduser())) as run:
            said = _said(run)
            read = _read(run, said)
    except LogError as error:
        raise ValueError(f"cannot harvest texts: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"cannot harvest texts from {path}: its log is not as a run writes it: {error}") from error
    read = read.dropna(axis="columns", how="all").dropna(axis="index", how="all")
    if read.empty:
        raise ValueError(f"cannot harvest texts from {path}: of {len(said)} different texts in it none has been read")
    texts = said[read.index].tolist()
    return Bank(texts, np.clip(read.to_numpy(dtype=np.float64), -1.0, 1.0), read.columns.tolist(), nearest)


def _said(run: Run) -> pd.Series:
    """Text by message id, each text once."""
    messages = run.table("message")
    messages = messages[messages["text"].map(lambda text: isinstance(text, str) and bool(text.strip()))]
    return messages.drop_duplicates("text").set_index("id")["text"]


def _read(run: Run, said: pd.Series) -> pd.DataFrame:
    """Readings of the messages in `said` by id, a column for each axis of the run; NaN where there is none."""
    found = pd.DataFrame(np.nan, index=said.index, columns=list(run.meta["axes"]), dtype=np.float64)
    for axis in found:
        for instrument in run.meta["axis_instruments"].get(axis, ()):
            if instrument != STATED:
                found[axis] = found[axis].fillna(run.read(instrument, axis).set_index("id")["value"])
    for strain, rule in run.meta["detection"].items():
        if strain in found:  # an emotional state is no axis of an expression
            found[strain] = as_stated(found[strain].to_numpy(), rule["enter"])
    return found
