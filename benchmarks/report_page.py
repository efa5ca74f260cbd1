"""How quickly report.html opens and follows its slider: `python benchmarks/report_page.py RUN_DIR…` (docs/report.md).

Needs Chromium. The page is opened from its file in a window of 1,280 by 1,000 points; nothing else may be busy.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-extensions "
    "--disable-dev-shm-usage --remote-debugging-pipe --window-size=1280,1000"
)

STANDS = """
new Promise((done, fail) => {
  const look = () => (document.documentElement?.dataset.ready ? done() : setTimeout(look, 10));
  setTimeout(() => fail("the viewer does not stand after a minute"), 60000);
  look();
})
"""
"""Waits for the viewer."""

SLIDE = """
(async () => {
  const slider = document.getElementById("step"), times = [];
  for (let k = 0; k < 20; k++) {
    const began = performance.now();
    slider.value = String(Math.round(k * slider.max / 19));
    slider.dispatchEvent(new Event("input"));
    await new Promise((shown) => requestAnimationFrame(() => setTimeout(shown)));
    times.push(performance.now() - began);
  }
  return times;
})()
"""
"""Milliseconds of twenty moves of the slider, until the next frame is drawn."""


def chromium() -> str | None:
    """The browser's command, None where there is none."""
    return next((found for name in CHROMIUM if (found := shutil.which(name))), None)


class Browser:
    """A headless Chromium with one page, driven over a pipe in the DevTools protocol; a context manager.

    events: what the browser told, (method, parameters), in order.
    """

    def __init__(self) -> None:
        command = chromium()
        assert command is not None, "needs Chromium"
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        its_in, our_out = os.pipe()
        our_in, its_out = os.pipe()
        # It reads from descriptor 3 and writes to 4, which are put there past any that have these numbers by chance.
        script = f'exec "$@" 3<&{its_in} 4>&{its_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "browser", command, *FLAGS.split(), f"--user-data-dir={self._home.name}"],
            pass_fds=(its_in, its_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(its_in)
        os.close(its_out)
        self._out, self._in = os.fdopen(our_out, "wb", 0), os.fdopen(our_in, "rb")
        self._number, self._left = itertools.count(1), b""
        self.events: list[tuple[str, dict[str, Any]]] = []
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.close()
        self._process.terminate()
        self._process.wait(timeout=20)
        self._in.close()
        self._home.cleanup()

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """What a method of the protocol returns for the page."""
        return self._call(method, given, sessionId=self._session)

    def _call(self, method: str, given: dict[str, Any], **more: str) -> dict[str, Any]:
        number = next(self._number)
        self._out.write(json.dumps({"id": number, "method": method, "params": given} | more).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == number:
                assert "error" not in told, f"{method}: {told.get('error')}"
                result: dict[str, Any] = told["result"]
                return result
            self.events.append((told.get("method", ""), told.get("params", {})))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            more = os.read(self._in.fileno(), 1 << 16)
            assert more, "the browser went away"
            self._left += more
        one, self._left = self._left.split(b"\0", 1)
        told: dict[str, Any] = json.loads(one)
        return told

    def run(self, script: str) -> Any:
        """The value of a script, awaited."""
        told = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def open(self, page: Path) -> int:
        """Open a report and wait until its viewer stands: milliseconds that took, by its own clock."""
        told = self.call("Page.navigate", url=page.absolute().as_uri())
        assert "errorText" not in told, f"{page}: {told['errorText']}"
        self.run(STANDS)
        return int(self.run("Number(document.documentElement.dataset.ready)"))

    def press(self, key: str, text: str = "") -> None:
        """Press and release a key, named as the DOM names it."""
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=CODES.get(key, 0), **more)


CODES = {
    "Tab": 9,
    "Enter": 13,
    "Escape": 27,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "End": 35,
    "Home": 36,
}


def main() -> int:
    """A row for each run: size of its page, milliseconds until it stands and for a move of the slider."""
    print("| run | MB | opens, ms | a step of the slider, ms: median, worst |\n| --- | --- | --- | --- |")
    with Browser() as browser:
        for run in sys.argv[1:]:
            page = Path(run) / "report.html"
            ready, times = browser.open(page), browser.run(SLIDE)
            print(f"| {run} | {page.stat().st_size / 1e6:.1f} | {ready} | {statistics.median(times):.0f}, {max(times):.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
