"""Running the application inside the test process, small and fast."""

from __future__ import annotations

import inspect
import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contagium.sim.__main__ import _run
from contagium.sim.analysis.figures import picture

SMALL = ("steps=2", "population.size=6")


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Runs the application with these arguments in an empty working directory and returns its exit status.

    Its figures are rendered only if `rendered` is true.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def run(*arguments: str, rendered: bool = False) -> int:
        with monkeypatch.context() as patch:
            for name in ("rendered", "book") if rendered else ():
                patch.setattr(picture, name, inspect.unwrap(getattr(picture, name)))
            return _run(["contagium", *arguments])

    return run


class _Model(BaseHTTPRequestHandler):
    """The least of an OpenAI-compatible server: one model that says one thing."""

    def do_GET(self) -> None:
        self._reply({"object": "list", "data": [{"id": "my-model", "object": "model"}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": "The kettle is on."}
        usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
        self._reply(
            {"id": "1", "object": "chat.completion", "model": "my-model", "usage": usage}
            | {"created": 0, "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
        )

    def _reply(self, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def model_server() -> Iterator[str]:
    """Base URL of a model server on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()
