"""Ask a run what would have been: `python -m contagium.sim.counterfactual RUN_DIR …`."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.markup import escape

from contagium.agents.backends.backend import BackendError
from contagium.agents.backends.journal import JournalError
from contagium.agents.weights import WeightsError
from contagium.sim.analysis.tables import show
from contagium.sim.analysis.text import visible
from contagium.sim.build import ScenarioError
from contagium.sim.counterfactual import rerun as reruns
from contagium.sim.counterfactual import results
from contagium.sim.counterfactual.cases import Case, Refusal, case, cases
from contagium.sim.counterfactual.replay import Question, Replaying, must_be_ours
from contagium.sim.counterfactual.variants import MASKED, PLACEBO, VARIANTS
from contagium.sim.credentials import refusal
from contagium.sim.reading import LogError, Run, open_run
from contagium.sim.run import root
from contagium.sim.running import Progress, first_line
from contagium.sim.terminal import show_estimate

DONE, FAILED, REFUSED, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130
EXPECTED = (BackendError, JournalError, LogError, OSError, WeightsError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, show what came of it, and return the exit status.

    0: done. 1: it failed on the way. 2: it could not begin, and nothing was written. 3: a cap of the budget was reached. 130:
    interrupted. After 1, 3 and 130 what is done is kept, and the same command goes on.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    asked = _parser().parse_intermixed_args(given)
    asking = _Asking(asked, shlex.join(["python", "-m", "contagium.sim.counterfactual", *given]))
    try:
        return asking.go()
    except KeyboardInterrupt:
        return _complain("interrupted; what is done is kept, and the same command goes on", INTERRUPTED)
    except (Refusal, ScenarioError) as error:
        return _complain(str(error), REFUSED)
    except (*EXPECTED, ExceptionGroup) as error:
        first = root(error)
        if not isinstance(first, EXPECTED):
            raise
        stopped = isinstance(first, BackendError) and first.reason == "budget"
        return _complain(first_line(first), REFUSED if not asking.begun else STOPPED if stopped else FAILED)


class _Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(REFUSED, f"contagium: {visible(message)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m contagium.sim.counterfactual", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="directory of a run")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="how calls are made, such as budget.cost=1")
    parser.add_argument("--transition", type=int, metavar="ID", help="replay the turn in which this case began")
    parser.add_argument("--strain", metavar="S", help="replay the cases of this strain; without --all or --most all of them")
    parser.add_argument("--all", action="store_true", help="replay every case of the strain, by default the first")
    parser.add_argument("--most", type=_positive, metavar="N", help="replay at most so many cases, drawn evenly")
    parser.add_argument("--samples", type=_positive, default=20, metavar="K", help="replies to each variant of a turn (20)")
    parser.add_argument("--variants", type=_variants, default=(MASKED, PLACEBO), help=f"of {','.join(VARIANTS)}")
    parser.add_argument("--together", action="store_true", help="also mask all candidates of a case at once")
    parser.add_argument("--neutral", metavar="TEXT", help="what the variant neutral puts in the place of a message")
    parser.add_argument("--cut", metavar="SOURCE:TARGET@STEP", help="run the world again, TARGET not hearing SOURCE from STEP on")
    parser.add_argument("--remove", metavar="AGENT@STEP", help="run the world again, nobody hearing AGENT from STEP on")
    parser.add_argument("--replicates", type=_positive, default=5, metavar="N", help="reruns with the change, and without (5)")
    parser.add_argument("--calls", type=int, metavar="MAX", help="calls that may be made in all")
    parser.add_argument("--estimate", action="store_true", help="say what replaying takes at most, and ask nothing")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"must be a number of at least 1, got {text!r}")
    return int(text)


def _variants(text: str) -> tuple[str, ...]:
    given = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in given if name not in VARIANTS]:
        raise argparse.ArgumentTypeError(f"no variant {unknown[0]!r}; there are {', '.join(VARIANTS)}")
    return given


class _Asking:
    """One invocation. begun: whether anything was written."""

    def __init__(self, asked: argparse.Namespace, command: str) -> None:
        self._asked, self._command, self.begun = asked, command, False
        self._console = Console(stderr=True)
        self._cases, self._names = 0, dict[int, str]()

    def go(self) -> int:
        asked = self._asked
        for key, _, value in (override.partition("=") for override in asked.overrides):
            if reason := refusal(key, value):
                raise Refusal(reason)
        run = open_run(asked.run)
        chosen = [option for option in (asked.cut, asked.remove) if option is not None]
        replays = asked.transition is not None or asked.strain is not None or asked.all or asked.most is not None
        if replays + len(chosen) != 1:
            raise Refusal("say what to replay: --transition ID, --strain S, --all, --most N; or --cut, or --remove")
        return self._reruns(run) if chosen else self._replays(run)

    def _replays(self, run: Run) -> int:
        asked = self._asked
        must_be_ours(run, -1)
        results.read_counterfactual(run)  # or what is about to be paid for could not be put beside it
        limits = [] if asked.calls is None else [f"budget.calls={asked.calls}"]
        replaying = Replaying(run, [*asked.overrides, *limits], self._say)
        found, notes = self._chosen(run, replaying)
        question = Question(tuple(found), asked.samples, asked.variants, asked.together, asked.neutral)
        replaying.check(question)
        if asked.estimate:
            show_estimate(self._console, replaying.estimate(question))
            return DONE
        self._cases, self._names = len(found), results.names(run, {one.agent for one in found})
        try:
            asyncio.run(replaying.go(question, self._next))
        finally:
            self.begun = replaying.begun
        show(results.tables(results.read_counterfactual(run)), notes, f"What would have been in {run.path.parent}")
        return DONE

    def _chosen(self, run: Run, replaying: Replaying) -> tuple[list[Case], list[str]]:
        """The cases that are asked for, and in words which of them are left out."""
        if self._asked.transition is not None:
            return [case(run, self._asked.transition)], []
        found, left = cases(run, self._asked.strain, self._asked.most, replaying.why_not)
        notes = [f"{count} case{'' if count == 1 else 's'} left out: {reason}" for reason, count in left.items()]
        if not found:
            raise Refusal("; ".join([f"{run.path.parent} has no case that could be replayed", *notes]))
        return found, notes

    def _reruns(self, run: Run) -> int:
        asked = self._asked
        if (asked.cut is None) == (":" in (asked.cut or asked.remove)):
            raise Refusal("--cut takes SOURCE:TARGET@STEP, --remove takes AGENT@STEP")
        arm = reruns.checked(run, reruns.arm_of(asked.cut or asked.remove))
        reruns.scenario_of(run, arm, 1, asked.overrides)
        if asked.estimate:
            raise Refusal("--estimate is of replayed turns; a rerun takes at most what the run took from the step on")
        self.begun = True
        ran = reruns.rerun(run, arm, asked.replicates, asked.overrides, asked.calls, self._command, self._step, self._say)
        asyncio.run(ran)
        found = [one for strain in run.meta["strains"] for one in reruns.read_reruns(run, strain)]
        show(reruns.tables(found), [], f"What would have been in {run.path.parent}")
        return DONE

    def _next(self, done: int, one: Case) -> None:
        self.begun = True
        messages = f"{len(one.candidates)} candidate message{'' if len(one.candidates) == 1 else 's'}"
        place = f"{done + 1} of {self._cases}"
        self._say(f"case {one.transition} ({place}): {self._names[one.agent]} at step {one.onset}, {messages}")

    def _step(self, arm: reruns.Arm, replicate: int, progress: Progress) -> None:
        if progress.step == progress.steps:
            self._say(f"{arm.name}, replicate {replicate}: done, {progress.infectious} infectious at the end")

    def _say(self, line: str) -> None:
        self._console.print(escape(visible(line)), highlight=False, soft_wrap=True)


def _complain(line: str, status: int) -> int:
    # A line may quote what a server or a file said, which could hold commands to the terminal.
    print(f"contagium: {visible(line)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
