"""`make test-browser`, second part: every notebook runs whole in JupyterLab, and its explorers follow the keyboard.

Not part of `make test`: it needs Chromium and the extra ``browser``. The notebooks are copies with the tiny profile.
JupyterLab listens on 127.0.0.1 only, with a token, and has its own folders for settings and state.
"""

import itertools
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
import requests
from playwright.sync_api import Browser, Locator, Page
from tiny_notebooks import write_copies

from fer3d import paths
from fer3d.workbook import pipeline

pytestmark = pytest.mark.timeout(3600)
LAPTOP = {"width": 1366, "height": 768}
SECONDS = float(os.environ.get("FER3D_BROWSER_SECONDS", "900"))
"""The longest that a notebook may run; two free cores need a minute."""
NAMES = sorted(path.name for path in paths.NOTEBOOKS.glob("0*.ipynb"))
WHOLE = {"windowingMode": "none"}
"""All cells are in the page, also those out of sight."""
EXPLORER = "[data-mime-type='application/vnd.jupyter.widget-view+json']"
KEYS = {"input[type=range]": ("ArrowRight", "ArrowLeft"), "select": ("ArrowDown",), "input[type=checkbox]": ("Space",)}
"""The controls of an explorer, and the keys that move them."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab on the copies, and its token: a format string with the notebook's name."""
    place = tmp_path_factory.mktemp("lab")
    for database in pipeline.DATABASES:
        pipeline.store(database, "tiny")
    write_copies(place / "notebooks")
    folders = {"CONFIG": "JUPYTER_CONFIG_DIR", "RUNTIME": "JUPYTER_RUNTIME_DIR", "IPYTHON": "IPYTHONDIR"}
    folders |= {"SETTINGS": "JUPYTERLAB_SETTINGS_DIR", "WORKSPACES": "JUPYTERLAB_WORKSPACES_DIR"}
    environment = os.environ | {name: str(place / folder) for folder, name in folders.items()}
    environment |= {"FER3D_DATA": str(paths.data()), "FER3D_REPORTS": str(place / "reports")}
    settings = place / "SETTINGS" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(WHOLE))
    news = place / "SETTINGS" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text(json.dumps({"checkForUpdates": False, "fetchNews": "false"}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", str(place / "notebooks"), "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={token}", "--LabApp.extension_manager=readonly"]
    with (place / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api?token={token}", server)
        yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}&reset"
    finally:
        server.terminate()
        server.wait(60)


def _wait_for(address: str, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        assert server.poll() is None, "JupyterLab ended"
        try:
            if requests.get(address, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.5)
    raise TimeoutError(address)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.browser() as started:
        yield started


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_whole_and_its_explorers_follow_the_keyboard(name: str, lab: str, browser: Browser) -> None:
    page = browser.new_page(viewport=LAPTOP)
    page.set_default_timeout(120_000)
    watched = chromium.Watched(page)
    page.goto(lab.format(name))
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    _wait_until_done(page)
    page.screenshot(path=chromium.screenshots() / f"{Path(name).stem}.png")
    errors = page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts()
    assert errors == []
    explorers = page.locator(EXPLORER).filter(has=page.locator("img"))
    for n in range(explorers.count()):
        assert _moves(explorers.nth(n)), f"explorer {n} of {name} stays as it is"
        explorers.nth(n).screenshot(path=chromium.screenshots() / f"{Path(name).stem}-explorer{n}.png")
    assert watched.faults == []
    page.close()


def _wait_until_done(page: Page) -> None:
    """Wait until no cell waits or runs, and the last one has a number."""
    prompts = page.locator(".jp-CodeCell .jp-InputArea-prompt")
    end = time.monotonic() + SECONDS
    while True:
        texts = [text for text in prompts.all_inner_texts() if text.strip()]
        if texts and "[*]:" not in texts and texts[-1] != "[ ]:":
            return
        assert time.monotonic() < end, f"still running: cell {texts.index('[*]:')} of {len(texts)}"
        page.wait_for_timeout(1000)


def _moves(explorer: Locator) -> bool:
    """Whether a key changes the picture, pressed on one control after the other."""
    explorer.scroll_into_view_if_needed()
    picture = explorer.locator("img").first
    for kind, keys in KEYS.items():
        for control, key in itertools.product(explorer.locator(kind).all(), keys):
            before = picture.get_attribute("src")
            control.focus()
            control.press(key)
            for _ in range(50):
                if picture.get_attribute("src") != before:
                    return True
                explorer.page.wait_for_timeout(100)
    return False
