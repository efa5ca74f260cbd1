"""A backend that answers from the journal of an earlier run: offline, free, and exactly as it was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Self

from contagium.agents.backends.backend import BackendError, Completion, PromptForm, Request
from contagium.agents.backends.journal_file import JournalError, Reader, locate


class Replay:
    """Backend that repeats recorded calls, failed ones included, with all that was known of them.

    journal: a journal, or the directory of a run. model: whose calls, where the journal has several models; None where it has
    one. The model's name, form of prompt and concurrency are those of the recorded one, so that requests are the same; they are
    known once it is entered. A request that is not in the journal raises a fatal BackendError with reason "not_in_journal". A
    recorded failure comes back as it was, but for `retryable`: another try would find the same.
    """

    timeout: float | None = None
    seconds_per_call: float | None = 0.0

    def __init__(self, journal: str, model: str | None = None) -> None:
        if not journal:
            raise ValueError("journal must name a journal or the directory of a run, got ''")
        self.path = Path(journal)
        self.model = model or ""
        self.prompt_form: PromptForm = "turns"
        self.concurrency = 1
        self._reader: Reader | None = None

    async def __aenter__(self) -> Self:
        try:
            self._reader = await asyncio.to_thread(Reader, locate(self.path))
            self._stand_in({key[6:]: known for key, known in self._reader.meta().items() if key.startswith("model ")})
        except JournalError as error:
            await self.__aexit__()
            raise BackendError(str(error), reason="not_in_journal", fatal=True) from error
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    async def complete(self, request: Request) -> Completion:
        if self._reader is None:
            raise BackendError("the journal is not open: use `async with`", reason="not_in_journal", fatal=True)
        try:
            outcome = self._reader.find(request.key(self.model))
        except JournalError as error:
            raise BackendError(str(error), reason="not_in_journal", fatal=True) from error
        if outcome is None:
            what = f"{request.purpose!r} of agent {request.agent} in step {request.step}"
            message = f"{self._reader.path} holds no reply of {self.model} to {what}: the scenario differs from the one recorded"
            raise BackendError(message, reason="not_in_journal", fatal=True)
        if isinstance(outcome, BackendError):
            outcome.retryable = False
            raise outcome
        return outcome

    def _stand_in(self, models: dict[str, dict[str, object]]) -> None:
        """Take the place of the recorded model. JournalError if it is not clear which."""
        if self.model not in models and (self.model or len(models) != 1):
            which = f"no model {self.model!r}" if self.model else "several models" if models else "no model"
            named = f": choose one by backend.model, of {', '.join(sorted(models))}" if models else ""
            raise JournalError(f"{self.path} holds calls of {which}{named}")
        self.model = self.model or next(iter(models))
        match models[self.model]:
            case {"prompt_form": "turns" | "transcript" as form, "concurrency": int(concurrency)}:
                self.prompt_form, self.concurrency = form, concurrency
            case unknown:
                raise JournalError(f"{self.path}: what it says of {self.model} cannot be read: {unknown}")
