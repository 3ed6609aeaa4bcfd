"""A headless Chromium with a new profile, driven by selenium, for pages that must work without a network."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1200,900",
)
PATIENCE = 120
"""Seconds; on a busy machine Chromium is slow, and no test is about speed."""


@contextmanager
def chromium() -> Iterator[Any]:
    """A selenium driver. Skips where there is no Chromium, no driver for it, or no selenium."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install .[dev]")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("there is no Chromium with its driver: apt-get install chromium chromium-driver")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        made = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        made.set_script_timeout(PATIENCE)
        try:
            yield made
        finally:
            made.quit()
