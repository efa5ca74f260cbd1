"""An embedded language model: llama.cpp inside this process, through `xllamacpp`.

Measured for SmolLM2-135M Q4_1 on 2 cores (180 prompt tokens, up to 40 new ones, 4 slots): 1.3 replies a second with 1
thread and 2.4 with 2 while nothing else runs; beside one other busy process 1.2 and 0.5, hence the careful default.
Resident memory: 0.24 GB with 1 slot of 4,096 tokens, 0.53 GB with 4.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from contagium.agents.backends.backend import BackendError, Completion, PromptForm, Request, Sampling, Stop, Turn
from contagium.agents.backends.chat import Logprobs
from contagium.agents.weights import SMOLLM2, WeightsError, fetch

if TYPE_CHECKING:
    import xllamacpp

MODELS = {"smollm2-135m": SMOLLM2}
STOPS: dict[str, Stop] = {"stop": "stop", "length": "length"}
TOP_K, MIN_P = 40, 0.05  # llama.cpp's own defaults, stated so that an upgrade cannot change them unseen


class Llama:
    """Backend that runs a GGUF model in this process.

    model: a name in `MODELS`, whose weights are fetched once, or the path of any GGUF file. threads: CPU threads for
    one token, None for one less than the cores this process may use (ggml slows down sharply when a thread has to
    wait for a core). slots: replies generated side by side, None for as many as threads (more bring nothing). context:
    tokens a slot holds, prompt and reply together; memory grows with slots times context. deterministic: one slot and
    no prompt cache, so that equal requests get equal replies in whatever order they are asked; costs about a third of
    the speed. Otherwise what shares the batch and the cache moves roundings, and a reply may differ between runs with
    the same seed (about 3 of 4 did with 4 slots).

    A request that ends with an assistant turn is continued; the text returned is what was added. Beside the request's
    sampling the 40 likeliest tokens with at least 0.05 of the top probability are kept.
    """

    def __init__(
        self,
        model: str = "smollm2-135m",
        threads: int | None = None,
        slots: int | None = None,
        context: int = 4096,
        deterministic: bool = False,
        prompt_form: PromptForm = "turns",
    ) -> None:
        for name, value in (("threads", threads), ("slots", slots), ("context", context)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.source = model
        self.model = model if model in MODELS else Path(model).stem
        self.threads = threads or max(1, _usable_cores() - 1)
        self.concurrency = 1 if deterministic else slots or self.threads
        self.context = context
        self.deterministic = deterministic
        self.timeout: float | None = None
        self.seconds_per_call: float | None = None
        self.prompt_form: PromptForm = prompt_form
        self._server: xllamacpp.Server | None = None
        self._fingerprint: str | None = None
        self._pool: ThreadPoolExecutor | None = None

    async def __aenter__(self) -> Self:
        path = await asyncio.to_thread(self._find)
        await asyncio.to_thread(self._load, path)
        self._pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="llama")
        # The first call warms the runtime up; the second shares no prefix with it and is timed.
        for opening in ("Once", "Twice"):
            self.seconds_per_call = (await self.complete(_usual(opening))).latency
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._pool is not None:
            await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
        self._pool = self._server = None

    async def complete(self, request: Request) -> Completion:
        if self._server is None or self._pool is None:
            raise BackendError("the embedded model is not open: use `async with`", reason="connection", fatal=True)
        if not request.messages:
            raise BackendError("a request needs at least one message, got none", reason="rejected")
        started = time.perf_counter()
        call = asyncio.get_running_loop().run_in_executor(self._pool, self._server.handle_chat_completions, self._body(request))
        try:
            reply = await call
        except Exception as error:  # the binding raises what its JSON and template parsers raise
            raise BackendError(f"{self.model} rejected the request: {_line(error)}", reason="rejected") from error
        return self._completion(request, reply, time.perf_counter() - started)

    def _find(self) -> Path:
        """The GGUF file. Raises a fatal `BackendError` for anything else."""
        try:
            if self.source in MODELS:
                weights = MODELS[self.source]
                return fetch(weights) / weights.members[0].name
            path = Path(self.source).expanduser()
            with path.open("rb") as file:
                magic = file.read(4)
        except WeightsError as error:
            raise BackendError(str(error), reason="rejected", fatal=True) from error
        except OSError as error:
            known = ", ".join(MODELS)
            raise BackendError(
                f"no model {self.source!r}: neither a known name ({known}) nor a readable file ({error.strerror})",
                reason="rejected",
                fatal=True,
            ) from error
        if magic != b"GGUF":
            raise BackendError(f"{path} is no GGUF file: it starts with {magic!r}", reason="rejected", fatal=True)
        return path

    def _load(self, path: Path) -> None:
        import xllamacpp  # heavy: 34 MB of native code

        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_parallel = self.concurrency
        params.n_ctx = self.context * self.concurrency
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self.threads
        params.cache_prompt = not self.deterministic
        params.cache_ram_mib = 0  # by default idle prompts may fill 8 GiB
        params.cache_idle_slots = False
        params.fit_params = False  # would shrink the context in silence
        params.verbosity = -1
        # the server inside also listens on a free port of the loopback address: nobody else may use it
        params.api_keys = [secrets.token_hex(16)]
        params.ui = params.endpoint_slots = False
        try:
            self._server = xllamacpp.Server(params)
        except Exception as error:
            raise BackendError(f"llama.cpp cannot load {path}: {_line(error)}", reason="rejected", fatal=True) from error
        self._fingerprint = f"xllamacpp {xllamacpp.__version__}"

    def _body(self, request: Request) -> dict[str, Any]:
        sampling = request.sampling
        body: dict[str, Any] = {
            "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": TOP_K,
            "min_p": MIN_P,
            "repeat_penalty": sampling.repeat_penalty,
            "max_tokens": sampling.max_tokens,
            "seed": request.seed % 2**32,
            "stop": list(sampling.stop),
        }
        if sampling.logprobs:
            body |= {"logprobs": True, "top_logprobs": sampling.logprobs}
        if request.schema is not None:
            schema = {"name": "reply", "schema": dict(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def _completion(self, request: Request, reply: dict[str, Any], latency: float) -> Completion:
        if "error" in reply:
            overflow = reply["error"].get("type") == "exceed_context_size_error"
            message = f"{self.model}: {reply['error'].get('message', reply['error'])}"
            raise BackendError(message, reason="context_overflow" if overflow else "rejected")
        try:
            choice, usage = reply["choices"][0], reply["usage"]
            text, stop = choice["message"]["content"], STOPS[choice["finish_reason"]]
            counts = usage["prompt_tokens"], usage["completion_tokens"]
            stated = choice.get("logprobs")
            tokens = Logprobs.model_validate(stated).tokens() if stated else None
        except (KeyError, IndexError, TypeError, ValidationError) as error:
            raise BackendError(f"{self.model} gave a reply of unknown shape: {error!r}", reason="malformed") from error
        if request.messages[-1].role == "assistant":
            text = text.removeprefix(request.messages[-1].content)
        return Completion(text, stop, self.model, *counts, latency, fingerprint=self._fingerprint, logprobs=tokens)


def _usual(opening: str) -> Request:
    """A call about as long as a usual one: 150 tokens read, 32 written."""
    system = (
        f"{opening} upon a time. " + "You are one of the members of an online forum and post one short message at a time. " * 6
    )
    chat = (Turn("system", system), Turn("user", "Tell a long story about a garden."))
    return Request(chat, Sampling(max_tokens=32), purpose="warm up")


def _usable_cores() -> int:
    """Physical cores this process may use: those it is bound to, within a container's quota. Logical ones off Linux."""
    if sys.platform != "linux":
        return os.cpu_count() or 1
    cores = {
        _read(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", str(cpu)) for cpu in os.sched_getaffinity(0)
    }
    quota, period = _read("/sys/fs/cgroup/cpu.max", "max 1").split()
    return len(cores) if quota == "max" else min(len(cores), int(quota) // int(period))


def _read(path: str, otherwise: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return otherwise


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
