"""A headless Chromium, driven by selenium.

Wants `chromedriver` and a Chromium or Chrome on the PATH (Debian: chromium and chromium-driver); nothing is
downloaded where they are missing.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DRIVER = shutil.which("chromedriver")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = ""
if importlib.util.find_spec("selenium") is None:
    MISSING = "no selenium: pip install '.[test]'"
elif not (DRIVER and CHROMIUM):
    MISSING = "no browser: chromium and chromedriver (Debian: chromium-driver)"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--disable-dev-shm-usage",
)  # fmt: skip
# What a page does at a change of its hash is done by then.
TURN = """const [hash, done] = arguments, before = location.hash;
  addEventListener("hashchange", () => done(), {once: true});
  location.hash = hash;
  if (location.hash === before) dispatchEvent(new Event("hashchange"));"""
SECONDS = 20  # that a page may take until it is ready


class Browser:
    """One session of a browser; `driver` is selenium's."""

    def __init__(self, profile: str) -> None:
        from selenium.webdriver import Chrome, ChromeOptions, ChromeService

        options = ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = Chrome(options, ChromeService(DRIVER))

    def open(self, page: Path, hash: str = "") -> None:
        """Opens a file, and waits until its script says that it is ready, if it has one that does."""
        from selenium.webdriver.support.ui import WebDriverWait

        self.driver.get("about:blank")
        self.driver.get(page.as_uri() + (f"#{hash}" if hash else ""))
        if 'dataset.ready = "yes"' in page.read_text(encoding="utf-8"):
            ready = "return document.documentElement.dataset.ready === 'yes'"
            WebDriverWait(self.driver, SECONDS, 0.05).until(lambda driver: driver.execute_script(ready))

    def turn(self, page: Path, hash: str) -> None:
        """To a view of a page, as a reader goes there: a page that is open already is not loaded again."""
        if self.driver.current_url.partition("#")[0] != page.as_uri():
            self.open(page, hash)
        else:
            self.driver.execute_async_script(TURN, hash)

    def wait(self, condition: str) -> None:
        """Until an expression of JavaScript is true; a TimeoutException where it stays false."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, SECONDS, 0.05).until(lambda _: self.run(f"return {condition}"), condition)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script's return."""
        return self.driver.execute_script(script, *arguments)

    def click(self, selector: str) -> None:
        """A click where a reader would click: the element has to be seen, and nothing may lie over it."""
        self.driver.find_element("css selector", selector).click()

    def resize(self, width: int, height: int, *, scheme: str = "") -> None:
        """The size of what is seen, as a phone's would be; `scheme`: dark or light, the system's."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 700}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def press(self, *keys: str) -> None:
        """Keys, where the focus is."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def complaints(self) -> list[str]:
        """What the console got since the last time, errors and warnings."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def picture(self, *, whole: bool = False) -> bytes:
        """What is seen, as PNG; or the `whole` page."""
        if not whole:
            return bytes(self.driver.get_screenshot_as_png())
        import base64

        options = {"captureBeyondViewport": True, "format": "png"}
        return base64.b64decode(self.driver.execute_cdp_cmd("Page.captureScreenshot", options)["data"])


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser for a while."""
    # Whatever proxy there is, it is not for our own machine.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "localhost,127.0.0.1")))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        session = Browser(profile)
        try:
            yield session
        finally:
            session.driver.quit()
