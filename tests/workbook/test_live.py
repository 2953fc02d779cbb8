"""Bars are shown to who looks at a notebook, and are not stored by who executes it."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from fer3d.workbook import refresh

CODE = """from tqdm import tqdm
from fer3d.workbook import live
live.show_progress()
print(sum(tqdm(range(3), "training", disable=None)))"""


def streams(notebook: Path) -> dict[str, str]:
    *_, cell = nbformat.read(notebook, as_version=4).cells
    return {output.name: output.text for output in cell.outputs}


@pytest.mark.parametrize("looked_at", [True, False])
def test_a_kernel_that_jupyterlab_started_shows_bars_and_no_other_does(
    looked_at: bool, write_notebook: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    if looked_at:
        monkeypatch.setenv("JPY_SESSION_NAME", "/notebooks/lesson.ipynb")  # as Jupyter's server does
    notebook = write_notebook("lesson.ipynb", CODE)
    refresh.execute(notebook)
    said = streams(notebook)
    assert said["stdout"] == "3\n"
    assert ("training: 100%" in said.get("stderr", "")) is looked_at and ("stderr" in said) is looked_at
