"""Notebooks are executed strictly: known parameters only, whole or kept as failed, never for ever."""

import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest

from fer3d.errors import InputError
from fer3d.workbook import notebook as workbook

PARAMETERS = """
profile: str = "tiny"  # size of everything
epochs: int = 2  # passes
lr: float = 0.1
mirror: bool = True
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    return write(tmp_path / "lesson.ipynb", "import sys\nprint(profile, epochs, lr, mirror, sys.executable)")


def write(path: Path, *sources: str) -> Path:
    """A notebook with the parameters and one cell for each source."""
    cells = [nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    return path


def test_parameters_reach_the_notebook_and_this_interpreter_runs_it(notebook: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "lesson.ipynb"
    workbook.execute(notebook, out, {"profile": "laptop", "epochs": "5", "lr": 1, "mirror": "false"})
    executed = nbformat.read(out, as_version=4)
    assert executed.cells[-1].outputs[0].text == f"laptop 5 1.0 False {sys.executable}\n"
    assert [path.name for path in out.parent.iterdir() if not path.name.startswith(".")] == ["lesson.ipynb"]


def test_cells_with_a_tag_are_left_as_they_are(notebook: Path, tmp_path: Path) -> None:
    content = nbformat.read(notebook, as_version=4)
    content.cells.append(nbformat.v4.new_code_cell("print('drilled')", metadata={"tags": ["drill", "other"]}))
    nbformat.write(content, notebook)
    for skip, told in (("drill", 0), ("", 1)):
        workbook.execute(notebook, tmp_path / "out.ipynb", {}, skip=skip)
        *_, first, drill = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
        assert len(first.outputs) == 1 and len(drill.outputs) == told and drill.source == "print('drilled')"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"epoch": "5"}, "epochs: int"),
        ({"epochs": "five"}, "int"),
        ({"epochs": "5.5"}, "int"),
        ({"epochs": True}, "int"),
        ({"lr": "fast"}, "float"),
        ({"mirror": "maybe"}, "bool"),
        ({"profile": 3}, "str"),
        ({"profile": "huge"}, "tiny, laptop, paper"),
    ],
)
def test_a_wrong_parameter_is_one_clear_line_and_nothing_is_written(
    given: dict[str, Any], told: str, notebook: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=told):
        workbook.execute(notebook, tmp_path / "out" / "lesson.ipynb", given)
    assert not (tmp_path / "out").exists()


def test_what_is_no_notebook_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "broken.ipynb").write_text('{"cells": [')
    for name in ("broken.ipynb", "missing.ipynb"):
        with pytest.raises(InputError, match=name) as error:
            workbook.execute(tmp_path / name, tmp_path / "out.ipynb", {})
        assert "\n" not in str(error.value)


def test_a_notebook_is_never_written_over_itself(notebook: Path) -> None:
    before = notebook.read_bytes()
    with pytest.raises(InputError, match="itself"):
        workbook.execute(notebook, notebook, {})
    assert notebook.read_bytes() == before


def test_a_failed_notebook_is_kept_beside_and_its_last_line_told(tmp_path: Path) -> None:
    failing = write(tmp_path / "failing.ipynb", "print('before')", "raise ValueError('the reason')", "print('after')")
    out = tmp_path / "out.ipynb"
    with pytest.raises(workbook.NotebookError, match=r"ValueError: the reason; kept as .*out\.failed\.ipynb") as error:
        workbook.execute(failing, out, {})
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value)
    assert not out.exists()
    assert "before" in (tmp_path / "out.failed.ipynb").read_text()
    workbook.execute(write(failing, "print('mended')"), out, {})
    assert not (tmp_path / "out.failed.ipynb").exists() and out.exists()


def test_a_notebook_that_hangs_or_dies_is_ended(tmp_path: Path) -> None:
    out, began = tmp_path / "out.ipynb", time.monotonic()
    with pytest.raises(workbook.NotebookError, match="not finished after 3 s"):
        workbook.execute(write(tmp_path / "hangs.ipynb", "import time; time.sleep(600)"), out, {}, timeout=3)
    with pytest.raises(workbook.NotebookError, match="died"):
        workbook.execute(write(tmp_path / "dies.ipynb", "import os; os._exit(1)"), out, {}, timeout=60)
    assert time.monotonic() - began < 60 and not out.exists()
