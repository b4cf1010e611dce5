"""A headless Chromium through its WebDriver, with nothing but the standard library.

Wants `chromedriver` and a Chromium or Chrome on the PATH (Debian: chromium and chromium-driver).
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DRIVER = shutil.which("chromedriver")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "" if DRIVER and CHROMIUM else "no browser: chromium and chromedriver (Debian: chromium-driver)"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--disable-dev-shm-usage",
)  # fmt: skip


class Browser:
    """One session of a browser."""

    def __init__(self, base: str) -> None:
        self.base = base
        profile = {"goog:loggingPrefs": {"browser": "ALL"}}
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        flags = [*FLAGS, f"--user-data-dir={self.folder.name}"]
        options = {"binary": CHROMIUM, "args": flags}
        capabilities = {"alwaysMatch": {"goog:chromeOptions": options, **profile}}
        self.session = ""
        self.session = self._call("POST", "/session", {"capabilities": capabilities})["sessionId"]

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        where = f"{self.base}{path}" if not self.session else f"{self.base}/session/{self.session}{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(where, data, {"Content-Type": "application/json"}, method=method)
        try:
            # Whatever proxy there is, it is not for our own machine.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def open(self, page: Path, hash: str = "") -> None:
        """Opens a file, and waits until its script says that it is ready."""
        self._call("POST", "/url", {"url": "about:blank"})
        self._call("POST", "/url", {"url": page.as_uri() + (f"#{hash}" if hash else "")})
        deadline = time.monotonic() + 20
        while self.run("return document.documentElement.dataset.ready") != "yes":
            assert time.monotonic() < deadline, "the page does not become ready"
            time.sleep(0.05)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script's return."""
        return self._call("POST", "/execute/sync", {"script": script, "args": arguments})

    def resize(self, width: int, height: int) -> None:
        """The size of what is seen, as a phone's would be."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True}
        self._call(
            "POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics}
        )

    def press(self, key: str) -> None:
        """A key, where the focus is."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def complaints(self) -> list[str]:
        """What the console got since the last time, errors and warnings."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def picture(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self._call("GET", "/screenshot"))

    def close(self) -> None:
        """Ends the browser."""
        self._call("DELETE", "")
        self.folder.cleanup()


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser for a while."""
    assert DRIVER is not None
    command = [DRIVER, "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
        try:
            assert driver.stdout is not None
            line = next(line for line in driver.stdout if "successfully on port" in line)
            port = int(line.rpartition("on port ")[2].strip(" .\n"))
            session = Browser(f"http://127.0.0.1:{port}")
            try:
                yield session
            finally:
                session.close()
        finally:
            driver.terminate()
