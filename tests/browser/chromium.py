"""A Chromium of this machine, driven by Playwright, that reports every error and every request to the outside.

    python tests/browser/chromium.py

prints its path, or one line that says what is missing; this needs no package.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSIDE = ("file", "data", "blob", "about")
HERE = ("127.0.0.1", "localhost")
LAPTOP = {"width": 1366, "height": 768}
SECONDS = float(os.environ.get("FER3D_BROWSER_SECONDS", "900"))
"""The longest that a page may take, a notebook that runs in it included; two free cores need a minute."""


def find() -> str | None:
    """The path of a browser: $CHROMIUM, or the first of `NAMES` on the path."""
    asked = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, (asked,) if asked else NAMES)), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless browser that reaches nothing but this machine."""
    from playwright.sync_api import sync_playwright

    root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium starts for root only so
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=find(),
            args=[*root, "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        yield started
        started.close()


class Watched:
    """What a page does wrong: errors of its console and its scripts, and requests to the outside."""

    def __init__(self, page: Page) -> None:
        self.faults: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in INSIDE and parts.hostname not in HERE:
            self.faults.append(f"request: {request.url}")


def screenshots() -> Path:
    """Where the pictures stay."""
    from fer3d import paths

    folder = paths.reports() / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    path = find()
    if path is None:
        asked = os.environ.get("CHROMIUM")
        missing = f"CHROMIUM={asked} is no program" if asked else f"no browser found ({', '.join(NAMES)})"
        sys.stderr.write(f"{missing}; on Debian: apt-get install chromium, elsewhere CHROMIUM=path\n")
        sys.exit(2)
    sys.stdout.write(f"{path}\n")
