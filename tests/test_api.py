"""The public names, and the page that documents them."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import scenes
from dots import PROFILE, moving_dots, written

import fer3d
from fer3d import config
from fer3d.paths import ROOT
from fer3d.training.train import train


def test_every_example_of_the_page_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train([written(moving_dots(), tmp_path / "store")], tmp_path / "run", PROFILE)
    video = cv2.VideoWriter(str(tmp_path / "video.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (640, 480))
    for frame in scenes.walk(8):
        video.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    video.release()
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(ROOT / "docs" / "api.md"), module_relative=False)
    assert result.attempted > 15 and not result.failed


def test_the_programs_for_ones_own_data_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's blocks of Python, in a folder with its stores, and with a small profile."""
    monkeypatch.setattr(config, "PROFILES", {"laptop": PROFILE})
    for seed, name in enumerate(("mine", "others")):
        store = moving_dots("table", seed=seed, names=("fear", "bored"))
        store.manifest["subject"] = name + store.manifest["subject"]
        written(store, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs" / "own-data.md").read_text(), re.DOTALL | re.MULTILINE
    )
    for block in blocks:
        exec(compile(block, "docs/own-data.md", "exec"), {})
    assert blocks and (tmp_path / "run" / "metrics.json").exists()


def test_the_page_shows_every_public_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    shown = {name for name in fer3d.__all__ if f"fer3d.{name}" in page}
    assert set(fer3d.__all__) - shown <= {"Store", "TrainedModel"}, "what functions return"


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = "torch numpy pandas cv2 dlib pydantic sklearn"
    program = f"import sys, fer3d; print([name for name in '{heavy}'.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
