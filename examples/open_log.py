"""Open a run's event log in pandas: `python examples/open_log.py RUN_DIR`."""

import contextlib
import sqlite3
import sys

import pandas as pd

import contagium

directory = sys.argv[1]

# One line for all that was said, with what was read in it ...
messages = contagium.open_run(directory).messages
print(messages.head())

# ... and one for any table of the log, without this package.
with contextlib.closing(sqlite3.connect(f"{directory}/run.db")) as log:
    transitions = pd.read_sql("SELECT * FROM transition", log)
print(transitions.tail())
