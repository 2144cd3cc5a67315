"""A headless browser of the system, for tests of pages."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# nothing of the browser's own may reach for a network either
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@contextmanager
def running_browser() -> Iterator[Any]:
    """Start a browser; a missing one skips the test, or fails it where CI is set."""
    # a skip would go unseen there
    lacks = pytest.fail if os.environ.get("CI") else pytest.skip
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        lacks(f"needs a browser, none of {', '.join(BROWSERS)} is there: apt-get install chromium")
    if importlib.util.find_spec("playwright") is None:
        lacks("needs the package playwright: pip install -e '.[dev]'")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield started
        started.close()
