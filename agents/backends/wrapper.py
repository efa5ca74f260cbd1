"""What every wrapper of a backend has in common: it is a backend, and passes on what it does not change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

from contagium.agents.backends.backend import Backend, Completion, PromptForm, Request


class Wrapper(ABC):
    """A backend around another; a subclass adds one behaviour to `complete`."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @property
    def model(self) -> str:
        return self.backend.model

    @property
    def prompt_form(self) -> PromptForm:
        return self.backend.prompt_form

    @property
    def concurrency(self) -> int:
        return self.backend.concurrency

    @property
    def timeout(self) -> float | None:
        return self.backend.timeout

    @property
    def seconds_per_call(self) -> float | None:
        return self.backend.seconds_per_call

    async def __aenter__(self) -> Self:
        await self.backend.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.backend.__aexit__(*exc)

    @abstractmethod
    async def complete(self, request: Request) -> Completion: ...
