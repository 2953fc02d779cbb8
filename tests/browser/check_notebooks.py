"""`make test-browser`, second part: notebooks run whole in JupyterLab and in Voila, and explorers follow the keys.

Not part of `make test`: it needs Chromium and the extras ``browser`` and ``voila``. The notebooks are copies with the
tiny profile. The servers listen on 127.0.0.1 only, with folders of their own for settings and state.
"""

import itertools
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import chromium
import nbformat
import pytest
import requests
from chromium import SECONDS
from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as NotThere
from tiny_notebooks import write_copies

from fer3d import paths
from fer3d.workbook import pipeline

pytestmark = pytest.mark.timeout(7200)
NAMES = sorted(path.name for path in paths.NOTEBOOKS.glob("0*.ipynb"))
EXPLORERS = {"01_data_prep": 1, "02_landmark_filters": 2, "03_model": 1, "05_evaluation": 1, "07_own_video": 1}
"""How many each notebook has."""
EXPLORER = ".widget-vbox:not(.widget-vbox *):has(img)"
KEYS = {
    "input[type=range]": ("ArrowRight", "ArrowLeft"),
    "select": ("ArrowDown", "ArrowUp"),
    "input[type=checkbox]": ("Space",),
}
"""The controls of an explorer that change its picture, and the keys that move them."""
ERROR = "[data-mime-type='application/vnd.jupyter.error']"
NUMBERED = re.compile(r"\[\d+\]:")
HARMLESS = re.compile("fontawesome|ERR_NAME_NOT_RESOLVED|Failed to initialize model")
"""In Voila: its page asks for a font of icons, and does without; on a slow machine anywidget complains of waiting."""
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # all cells are in the page, also those out of sight
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the copies, without outputs, whose data are prepared, and the servers' settings."""
    place = tmp_path_factory.mktemp("served")
    for database in pipeline.DATABASES:
        pipeline.store(database, "tiny")
    for copy in write_copies(place / "notebooks"):
        content = nbformat.read(copy, as_version=4)
        for cell in content.cells:
            cell |= {"outputs": [], "execution_count": None} if cell.cell_type == "code" else {}
        nbformat.write(content, copy)
    for name, settings in SETTINGS.items():
        file = place / "SETTINGS" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(settings))
    return place


@contextmanager
def served(place: Path, program: str, *options: str, ready: str) -> Iterator[str]:
    """The address of a server on the copies, which answers at the path ``ready``."""
    folders = {"CONFIG": "JUPYTER_CONFIG_DIR", "RUNTIME": "JUPYTER_RUNTIME_DIR", "IPYTHON": "IPYTHONDIR"}
    folders |= {"SETTINGS": "JUPYTERLAB_SETTINGS_DIR", "WORKSPACES": "JUPYTERLAB_WORKSPACES_DIR"}
    environment = os.environ | {name: str(place / folder) for folder, name in folders.items()}
    environment |= {"FER3D_DATA": str(paths.data()), "FER3D_REPORTS": str(place / "reports")}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", program, str(place / "notebooks"), "--no-browser", f"--port={port}", *options]
    with (place / f"{program}.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}{ready}", server)
        yield address
    finally:
        server.terminate()
        server.wait(60)


def _wait_for(address: str, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        assert server.poll() is None, "the server ended"
        try:
            if requests.get(address, timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.5)
    raise TimeoutError(address)


@pytest.fixture(scope="module")
def lab(place: Path) -> Iterator[str]:
    """A JupyterLab's address of a notebook, to be formatted with its name."""
    token = secrets.token_hex(16)
    options = ["--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    options += ["--allow-root", "--LabApp.extension_manager=readonly"]
    with served(place, "jupyterlab", *options, ready=f"/api?token={token}") as address:
        yield f"{address}/lab/tree/{{}}?token={token}&reset"


@pytest.fixture(scope="module")
def voila(place: Path) -> Iterator[str]:
    """A Voila's address of a notebook, to be formatted with its name."""
    with served(place, "voila", "--Voila.ip=127.0.0.1", "--Voila.port_retries=0", ready="/") as address:
        yield f"{address}/voila/render/{{}}"


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_whole_in_jupyterlab_and_its_explorers_follow_the_keys(name: str, lab: str, page: Page) -> None:
    watched = chromium.Watched(page)
    page.goto(lab.format(name))
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    _run_all(page)
    assert page.locator(ERROR).all_inner_texts() == []
    if name == "04_training.ipynb":
        assert page.get_by_text("train: 100%|").count(), "the bar of a training"
    _try_explorers(page, f"{Path(name).stem}-lab")
    assert watched.faults == []


@pytest.mark.parametrize("name", EXPLORERS)
def test_explorers_follow_the_keys_in_voila(name: str, voila: str, page: Page) -> None:
    watched = chromium.Watched(page)
    page.goto(voila.format(f"{name}.ipynb"))
    _try_explorers(page, f"{name}-voila")
    assert [fault for fault in watched.faults if not HARMLESS.search(fault)] == []


def _run_all(page: Page) -> None:
    """Run all cells and wait until each has its number, or one an error."""
    prompts = page.locator(".jp-CodeCell .jp-InputArea-prompt")
    end = time.monotonic() + SECONDS
    while True:
        texts = [text.strip() for text in prompts.all_inner_texts()]
        if (dialog := page.locator(".jp-Dialog .jp-mod-accept")).count():  # which kernel, where it was not ready yet
            dialog.first.click()
        if texts and set(texts) <= {"[ ]:"}:  # a command that comes before the kernel is ready has no effect
            with suppress(NotThere):  # such a dialog has come over the menu since
                page.get_by_role("menuitem", name="Run", exact=True).click(timeout=5000)
                page.get_by_role("menuitem", name="Run All Cells", exact=True).click(timeout=5000)
            page.wait_for_timeout(5000)
        elif (texts and all(map(NUMBERED.fullmatch, texts))) or page.locator(ERROR).count():
            return
        assert time.monotonic() < end, f"not all cells were run: {texts}"
        page.wait_for_timeout(1000)


def _try_explorers(page: Page, stem: str) -> None:
    explorers = page.locator(EXPLORER)
    for n in range(EXPLORERS.get(stem.rpartition("-")[0], 0)):
        explorer = explorers.nth(n)
        explorer.scroll_into_view_if_needed()
        if explorer.locator(", ".join(KEYS)).count():
            assert _moves(explorer), f"explorer {n} of {stem} stays as it is"
        explorer.screenshot(path=chromium.screenshots() / f"{stem}-explorer{n}.png")
    page.screenshot(path=chromium.screenshots() / f"{stem}.png")


def _moves(explorer: Locator) -> bool:
    """Whether a key changes the picture, pressed on one control after the other."""
    picture = explorer.locator("img").last
    for kind, keys in KEYS.items():
        for control, key in itertools.product(explorer.locator(kind).all(), keys):
            before = picture.get_attribute("src")
            control.focus()
            control.press(key)
            for _ in range(100):
                if picture.get_attribute("src") != before:
                    return True
                explorer.page.wait_for_timeout(100)
    return False
